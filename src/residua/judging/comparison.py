"""Two models judged by the same pictures: is one really better, or may it be chance."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from residua.errors import UserError
from residua.judging.evaluation import Evaluation
from residua.judging.figures.intervals import Interval, paired_interval

SIGNIFICANT = 0.05
TEST, INTERVAL = "McNemar's exact test", "95%: Newcombe's for paired shares"


@dataclass(frozen=True)
class Comparison:
    """How the second model's top-1 differs from the first's, in percentage points."""

    samples: int
    difference: float  # above 0 where the second is better
    interval: Interval  # of the difference, 95%
    p: float  # how often chance alone would part two equal models so far
    both_right: int
    only_first_right: int
    only_second_right: int
    both_wrong: int

    @property
    def is_real(self) -> bool:
        """Whether chance alone would rarely (below 5%) have done it."""
        return self.p < SIGNIFICANT

    @property
    def sentence(self) -> str:
        """Say in one sentence what follows."""
        low, high = self.interval
        figures = f"95%: {low:+.2f} to {high:+.2f} points, p = {_shown(self.p)}"
        if self.is_real:
            better = "second" if self.difference > 0 else "first"
            return f"The {better} model is better by {abs(self.difference):.2f} points ({figures})."
        return f"No real difference was found: {self.difference:+.2f} points may be chance ({figures})."

    def as_json(self) -> dict[str, Any]:
        """Return everything, as docs/evaluate.md describes it."""
        methods = {"is_real": self.is_real, "sentence": self.sentence, "test": TEST, "interval_is": INTERVAL}
        return {**asdict(self), **methods}


def compare(first: Evaluation, second: Evaluation) -> Comparison:
    """Compare two models by the pictures that both were judged by.

    >>> compare(evaluate("a.safetensors", data), evaluate("b.safetensors", data)).p  # doctest: +SKIP
    0.031
    """
    if list(first.outcomes.names) != list(second.outcomes.names):
        raise UserError(
            f"{first.model!r} and {second.model!r} were judged by different pictures: judge both by the same."
        )
    one, other = first.outcomes.right, second.outcomes.right
    both, only_first = int((one & other).sum()), int((one & ~other).sum())
    only_second, neither = int((~one & other).sum()), int((~one & ~other).sum())
    low, high = paired_interval(both, only_second, only_first, neither)
    return Comparison(
        samples=len(one),
        difference=100 * (only_second - only_first) / max(1, len(one)),
        interval=(100 * low, 100 * high),
        p=exact_p(only_first, only_second),
        both_right=both,
        only_first_right=only_first,
        only_second_right=only_second,
        both_wrong=neither,
    )


def exact_p(first: int, second: int) -> float:
    """Return McNemar's exact p: how often a fair coin falls at least so unevenly, either way."""
    count, fewer = first + second, min(first, second)
    ways = np.array([-math.lgamma(k + 1) - math.lgamma(count - k + 1) for k in range(fewer + 1)])
    tail = np.exp(ways + math.lgamma(count + 1) - count * math.log(2)).sum()
    return min(1.0, 2 * float(tail))


def _shown(p: float) -> str:
    return f"{p:.2g}" if p >= 1e-4 else "below 0.0001"
