"""Whether what was measured bears a claim out: holds, does not hold, or is not decided."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median, stdev
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua.judging.figures.intervals import Z
from residua.lab.claims import Claim

Word = Literal["holds", "does not hold", "not decided", "not judged"]
HOLDS: Word = "holds"
FAILS: Word = "does not hold"
OPEN: Word = "not decided"
APART: Word = "not judged"

# Two-sided 95% quantiles of Student's distribution with 1, 2, ... degrees of freedom; the last beyond too.
# fmt: off
STUDENT = (
    12.707, 4.303, 3.183, 2.777, 2.571, 2.447, 2.365, 2.307, 2.263, 2.229,
    2.201, 2.179, 2.161, 2.145, 2.132, 2.120, 2.110, 2.101, 2.094, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.049, 2.046, 2.043,
)
# fmt: on
NARROW = 1.0  # half an interval's width, in points, above which a number is not said to be met


@dataclass(frozen=True)
class Sample:
    """What was measured of one network: a value for each seed, and which held-out pictures it missed."""

    values: Mapping[int, float]
    wrong: Mapping[int, NDArray[np.bool_]] | None = None  # of errors only

    @property
    def spread(self) -> Spread | None:
        """Return what the values come to; None without any."""
        values = list(self.values.values())
        return Spread.of(values) if values else None


@dataclass(frozen=True)
class Spread:
    """Repetitions of one measurement."""

    n: int
    median: float
    mean: float
    least: float
    greatest: float
    deviation: float | None  # standard deviation; None of a single one

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Sum up values, of which there is at least one."""
        deviation = stdev(values) if len(values) > 1 else None
        return cls(len(values), median(values), fmean(values), min(values), max(values), deviation)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Verdict:
    """What is to be said of a claim."""

    claim: Claim
    word: Word
    why: str
    measured: float | None = None  # the median; of an order the mean difference `than` - `less`
    interval: tuple[float, float] | None = None  # 95%, of the mean
    n: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        claim = {name: value for name, value in asdict(self.claim).items() if value is not None}
        own = {"verdict": self.word, "why": self.why, "measured": self.measured, "interval": self.interval}
        return {"claim": claim, **own, "n": self.n}


def judged_number(claim: Claim, sample: Sample) -> Verdict:
    """Judge a printed number by the mean's interval: it must touch the paper's range and be narrow itself."""
    said, worth = claim.printed
    found = sample.spread
    if found is None:
        return Verdict(claim, APART, "nothing was measured")
    if claim.exact:
        met = abs(found.median - said) < worth  # rounded or cut off
        return Verdict(claim, HOLDS if met else FAILS, "to the digits printed", found.median, None, found.n)
    if found.n < 2:
        return Verdict(claim, OPEN, "one run has no spread", found.median, None, found.n)
    low, high = interval(list(sample.values.values()), _missed([sample]))
    reach = max(claim.spread, worth / 2)
    if low > said + reach or high < said - reach:
        word, why = FAILS, "the interval leaves the paper's value out"
    elif (high - low) / 2 > max(NARROW, reach):
        word, why = OPEN, "the interval is too wide to tell"
    else:
        word, why = HOLDS, "the interval holds the paper's value"
    return Verdict(claim, word, why, found.median, (low, high), found.n)


def judged_bound(claim: Claim, sample: Sample) -> Verdict:
    """Judge a bound by the mean's interval: it must lie on the right side of it."""
    found = sample.spread
    if found is None:
        return Verdict(claim, APART, "nothing was measured")
    low_bound = -math.inf if claim.above is None else claim.above
    high_bound = math.inf if claim.below is None else claim.below
    if found.n < 2:
        return Verdict(claim, OPEN, "one run has no spread", found.median, None, found.n)
    low, high = interval(list(sample.values.values()), _missed([sample]))
    if low > low_bound and high < high_bound:
        word, why = HOLDS, "the interval lies within the bound"
    elif high <= low_bound or low >= high_bound:
        word, why = FAILS, "the interval lies beyond the bound"
    else:
        word, why = OPEN, "the interval crosses the bound"
    return Verdict(claim, word, why, found.median, (low, high), found.n)


def judged_order(claim: Claim, less: Sample, than: Sample) -> Verdict:
    """Judge an order by the differences of runs of one seed, which share the order of their pictures."""
    seeds = sorted(less.values.keys() & than.values.keys())
    differences = [than.values[seed] - less.values[seed] for seed in seeds]
    if not differences:
        return Verdict(claim, APART, "nothing was measured of both")
    mean = fmean(differences)
    if claim.exact:
        return Verdict(claim, HOLDS if mean > 0 else FAILS, "as counted", mean, None, len(seeds))
    if len(seeds) < 2:
        return Verdict(claim, OPEN, "one pair has no spread", mean, None, 1)
    low, high = interval(differences, _missed([than, less], seeds))
    word = HOLDS if low > 0 else FAILS if high < 0 else OPEN
    why = {
        HOLDS: "the interval of the differences lies above 0",
        FAILS: "the interval of the differences lies below 0",
        OPEN: "the interval of the differences holds 0",
    }[word]
    return Verdict(claim, word, why, mean, (low, high), len(seeds))


def interval(values: Sequence[float], pictures: float = 0.0) -> tuple[float, float]:
    """Return the 95% interval of a mean over seeds (Student's), for other pictures of the kind too.

    `pictures` is the variance of the mean that comes from which pictures were held out.
    """
    count, mean = len(values), fmean(values)
    seeds = STUDENT[min(count - 1, len(STUDENT)) - 1] * stdev(values) / math.sqrt(count)
    reach = math.hypot(seeds, Z * math.sqrt(pictures))
    return mean - reach, mean + reach


def _missed(samples: Sequence[Sample], seeds: Sequence[int] | None = None) -> float:
    """Return the variance, in squared points, that the choice of pictures gives an error or a difference.

    Two networks are judged by the same pictures, so it is that of the pictures' differences.
    """
    shares = []
    for sample in samples:
        if sample.wrong is None or not sample.wrong:
            return 0.0
        chosen = [sample.wrong[seed] for seed in (seeds or sorted(sample.wrong)) if seed in sample.wrong]
        if not chosen:
            return 0.0
        shares.append(np.mean(np.stack(chosen).astype(np.float64), axis=0))
    each = shares[0] if len(shares) == 1 else shares[0] - shares[1]
    return float(100**2 * each.var(ddof=1) / len(each)) if len(each) > 1 else 0.0
