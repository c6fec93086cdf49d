"""Numbers of each picture whose mean, in percent, is a quantity: they say how sure that mean is."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Each = NDArray[np.float64]
THOUSANDS = 1000  # to which numbers are rounded


def packed(each: NDArray[Any]) -> str:
    """Write a number of each picture as a short text."""
    whole = np.round(THOUSANDS * each.astype(np.float64)).astype("<i4")
    return base64.b85encode(zlib.compress(whole.tobytes(), 9)).decode()


def unpacked(text: str) -> Each:
    """Return what was packed."""
    return np.frombuffer(zlib.decompress(base64.b85decode(text)), "<i4") / THOUSANDS
