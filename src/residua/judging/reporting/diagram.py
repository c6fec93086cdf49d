"""The reliability diagram: how often the network is right, beside how often it says that it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from residua.judging.reporting.charts import Tick
from residua.judging.reporting.judged import Bin

SIDE = 300  # of the plotted square
LARGEST = 13  # radius of the fullest bin's dot
TICKS = tuple(Tick(SIDE * percent / 100, str(percent)) for percent in range(0, 101, 20))


@dataclass(frozen=True)
class Dot:
    """One bin: where it stands, how large it is, where it would stand if the probabilities were true."""

    x: float
    y: float
    radius: float
    ideal: float
    words: str


def reliability(bins: Sequence[Bin]) -> list[Dot]:
    """Return a dot for each bin that has pictures."""
    most = max((each.count for each in bins), default=1)
    return [
        Dot(
            x=SIDE * each.confidence,
            y=SIDE * (1 - each.accuracy),
            radius=3 + (LARGEST - 3) * math.sqrt(each.count / most),
            ideal=SIDE * (1 - each.confidence),
            words=f"{each.count:,} pictures: it says {each.confidence:.1%}, {each.accuracy:.1%} are right",
        )
        for each in bins
    ]
