"""Two models judged by the same pictures: is one really better, or may it be chance."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import UserError
from residua.judging.evaluated import Evaluation
from residua.judging.figures.intervals import Interval, paired_interval

SIGNIFICANT = 0.05
TEST, INTERVAL = "McNemar's mid-p test", "95%: Newcombe's for paired shares"


@dataclass(frozen=True)
class Comparison:
    """How the second model's top-1 differs from the first's, in percentage points; by pictures."""

    both_right: int
    only_first_right: int
    only_second_right: int
    both_wrong: int

    @property
    def samples(self) -> int:
        """How many pictures both were judged by."""
        return self.both_right + self.only_first_right + self.only_second_right + self.both_wrong

    @property
    def difference(self) -> float:
        """How much better the second is; below 0 where the first is."""
        return 100 * (self.only_second_right - self.only_first_right) / self.samples

    @property
    def interval(self) -> Interval:
        """The 95% interval of the difference (Newcombe's)."""
        low, high = paired_interval(
            self.both_right, self.only_second_right, self.only_first_right, self.both_wrong
        )
        return 100 * low, 100 * high

    @property
    def p(self) -> float:
        """How often chance alone would part two equal models at least so far (McNemar's exact test)."""
        return exact_p(self.only_first_right, self.only_second_right)

    @property
    def mid_p(self) -> float:
        """The same, but what is just so uneven counts by half: nearer to the truth, and to the interval."""
        return mid_p(self.only_first_right, self.only_second_right)

    @property
    def is_real(self) -> bool:
        """Whether the test and the interval both exclude chance."""
        return self._by_test and self._by_interval

    @property
    def sentence(self) -> str:
        """Say in one sentence what follows."""
        low, high = self.interval
        figures = f"95%: {_signed(low)} to {_signed(high)} points, mid-p = {_shown(self.mid_p)}"
        better = "second" if self.difference > 0 else "first"
        if self.is_real:
            return f"The {better} model is better by {abs(self.difference):.2f} points ({figures})."
        if self._by_test or self._by_interval:
            return (
                f"The {better} model may be better by {abs(self.difference):.2f} points, but that is on the "
                f"edge: the interval and the test do not agree ({figures})."
            )
        return f"No real difference was found: {self.difference:+.2f} points may be chance ({figures})."

    @property
    def _by_test(self) -> bool:
        return self.mid_p < SIGNIFICANT

    @property
    def _by_interval(self) -> bool:
        low, high = self.interval
        return low > 0 or high < 0

    def as_json(self) -> dict[str, Any]:
        """Return everything, as docs/evaluate.md describes it."""
        names = ("samples", "difference", "interval", "p", "mid_p", "is_real", "sentence")
        found = {name: getattr(self, name) for name in names}
        return {**asdict(self), **found, "test": TEST, "interval_is": INTERVAL}


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
    return Comparison(
        both_right=int((one & other).sum()),
        only_first_right=int((one & ~other).sum()),
        only_second_right=int((~one & other).sum()),
        both_wrong=int((~one & ~other).sum()),
    )


def exact_p(first: int, second: int) -> float:
    """Return McNemar's exact p: how often a fair coin falls at least so unevenly, either way."""
    return min(1.0, 2 * float(_ways(first, second).sum()))


def mid_p(first: int, second: int) -> float:
    """Return McNemar's mid-p: the falls that are just so uneven count by half."""
    ways = _ways(first, second)
    return min(1.0, float(2 * ways.sum() - ways[-1]))


def _ways(first: int, second: int) -> NDArray[np.float64]:
    """Return how often a fair coin falls to one side 0 times, 1 time and so on up to the fewer of both."""
    count, fewer = first + second, min(first, second)
    ways = np.array([-math.lgamma(k + 1) - math.lgamma(count - k + 1) for k in range(fewer + 1)])
    chances: NDArray[np.float64] = np.exp(ways + math.lgamma(count + 1) - count * math.log(2))
    return chances


def _signed(points: float) -> str:
    """Say a bound; one next to 0 is not rounded to it."""
    return f"{points:+.2f}" if abs(points) >= 0.01 else f"{points:+.1g}"


def _shown(p: float) -> str:
    return f"{p:.3g}" if p >= 1e-4 else "below 0.0001"
