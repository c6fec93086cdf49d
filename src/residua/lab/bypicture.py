"""Numbers of each picture whose mean, in percent, is a quantity: they say how sure that mean is."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Each = NDArray[np.float64]
THOUSANDS = 1000  # to which numbers are rounded
MOST = 4_000_000  # bytes, of what may have come from anywhere


def packed(each: NDArray[Any]) -> str:
    """Write a number of each picture as a short text."""
    whole = np.round(THOUSANDS * each.astype(np.float64)).astype("<i4")
    return base64.b85encode(zlib.compress(whole.tobytes(), 9)).decode()


def unpacked(text: str) -> Each:
    """Return what was packed; anything else is a ValueError."""
    reader = zlib.decompressobj()
    try:
        numbers = reader.decompress(base64.b85decode(text), MOST)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not reader.eof:
        raise ValueError("it is cut off, or too long")
    return np.frombuffer(numbers, "<i4") / THOUSANDS
