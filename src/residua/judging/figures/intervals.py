"""How sure a measured figure is: 95% intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Z = 1.959963984540054  # two-sided 95% of the normal distribution
Interval = tuple[float, float]


def share_interval(hits: int, count: int) -> Interval:
    """Return Wilson's interval of a share (0 to 1): sound near 0 and 1 too, and never beyond them."""
    share, square = hits / count, Z * Z / count
    middle = (share + square / 2) / (1 + square)
    reach = Z * math.sqrt(share * (1 - share) / count + square / (4 * count)) / (1 + square)
    low = 0.0 if hits == 0 else max(0.0, middle - reach)  # rounding may miss the ends
    return low, 1.0 if hits == count else min(1.0, middle + reach)


def mean_interval(values: Sequence[float] | NDArray[np.float32]) -> Interval | None:
    """Return the normal interval of a mean; None of a single value, whose spread nobody knows."""
    numbers = np.asarray(values, np.float64)
    if len(numbers) < 2:
        return None
    mean, reach = float(numbers.mean()), Z * float(numbers.std(ddof=1)) / math.sqrt(len(numbers))
    return mean - reach, mean + reach


def paired_interval(both: int, first: int, second: int, neither: int) -> Interval:
    """Return Newcombe's interval of the difference of two shares over the same samples.

    `both` are right in both, `first` and `second` in one only. It is his method 10 (Statistics in Medicine
    17, 1998): Wilson's intervals of the two, put together by how they go along with each other.
    """
    count = both + first + second + neither
    one, other = (both + first) / count, (both + second) / count
    (low1, high1), (low2, high2) = (share_interval(both + only, count) for only in (first, second))
    tie = _correlation(both, first, second, neither)
    down1, up1, down2, up2 = one - low1, high1 - one, other - low2, high2 - other
    below = math.sqrt(max(0.0, down1**2 - 2 * tie * down1 * up2 + up2**2))
    above = math.sqrt(max(0.0, up1**2 - 2 * tie * up1 * down2 + down2**2))
    return one - other - below, one - other + above


def _correlation(both: int, first: int, second: int, neither: int) -> float:
    """Return the correlation of a table of four, with Newcombe's correction for continuity."""
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    if margins == 0:
        return 0.0
    excess = float(both * neither - first * second)
    if excess > 0:
        excess = max(0.0, excess - (both + first + second + neither) / 2)
    return excess / math.sqrt(margins)
