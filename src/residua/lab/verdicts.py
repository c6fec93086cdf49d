"""Whether what was measured bears a claim out: holds, does not hold, or is not decided."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Literal

from residua.lab.chance import Interval, Sample, of_difference, of_mean
from residua.lab.claims import Claim

Word = Literal["holds", "does not hold", "not decided", "not judged"]
HOLDS: Word = "holds"
FAILS: Word = "does not hold"
OPEN: Word = "not decided"
APART: Word = "not judged"

REMARK, UNTRAINED = "a remark", "no experiment trains it"  # why a claim is never judged
ALONE = "one run tells nothing of chance"
EQUAL = "the runs do not differ at all, which tells nothing of chance"
# Half an interval's width, above which a number is not said to be met.
NARROW_POINTS = 1.0  # of an error
NARROW_SHARE = 0.1  # of anything else: a share of the number
Judge = Callable[[Claim, Interval], tuple[Word, str]]


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


def judged_number(claim: Claim, sample: Sample, others: Sequence[Sample] = ()) -> Verdict:
    """Judge a printed number by the mean's interval: it must touch the paper's range and be narrow itself."""
    if claim.exact:
        return _counted(claim, sample)
    return _by_mean(claim, sample, others, _meets)


def judged_bound(claim: Claim, sample: Sample, others: Sequence[Sample] = ()) -> Verdict:
    """Judge a bound by the mean's interval: it must lie on the right side of it."""
    if claim.exact and sample.spread:
        value = sample.spread.median
        word, _ = _bounded(claim, Interval(value, 0.0))
        return Verdict(claim, word, "as counted", value, None, sample.spread.n)
    return _by_mean(claim, sample, others, _bounded)


def judged_order(claim: Claim, less: Sample, than: Sample, others: Sequence[Sample] = ()) -> Verdict:
    """Judge an order by the differences of runs of one seed, which share the order of their pictures."""
    seeds = sorted(less.values.keys() & than.values.keys())
    if not seeds:
        return Verdict(claim, APART, "nothing was measured of both")
    mean = fmean(than.values[seed] - less.values[seed] for seed in seeds)
    if claim.exact:
        return Verdict(claim, HOLDS if mean > 0 else FAILS, "as counted", mean, None, len(seeds))
    if len(seeds) < 2:
        return Verdict(claim, OPEN, ALONE, mean, None, 1)
    found = of_difference(less, than, others)
    if found is None:
        return Verdict(claim, OPEN, EQUAL, mean, None, len(seeds))
    word = HOLDS if found.low > 0 else FAILS if found.high < 0 else OPEN
    why = {
        HOLDS: "the interval of the differences lies above 0",
        FAILS: "the interval of the differences lies below 0",
        OPEN: "the interval of the differences holds 0",
    }[word]
    why += f"; a difference of {found.reach:.2g} or less would not have been decided"
    return Verdict(claim, word, why, mean, (found.low, found.high), len(seeds))


def _counted(claim: Claim, sample: Sample) -> Verdict:
    """Judge what is only counted by the digits printed, which are rounded or cut off."""
    said, worth = claim.printed
    if not (found := sample.spread):
        return Verdict(claim, APART, "nothing was measured")
    met = said - worth / 2 <= found.median < said + worth
    return Verdict(claim, HOLDS if met else FAILS, "to the digits printed", found.median, None, found.n)


def _by_mean(claim: Claim, sample: Sample, others: Sequence[Sample], judge: Judge) -> Verdict:
    if not (found := sample.spread):
        return Verdict(claim, APART, "nothing was measured")
    interval = of_mean(sample, others) if found.n > 1 else None
    if interval is None:
        return Verdict(claim, OPEN, EQUAL if found.n > 1 else ALONE, found.median, None, found.n)
    word, why = judge(claim, interval)
    return Verdict(claim, word, why, found.median, (interval.low, interval.high), found.n)


def _meets(claim: Claim, found: Interval) -> tuple[Word, str]:
    said, worth = claim.printed
    around = max(claim.spread, claim.allowed, worth / 2)
    paper = "the paper's value" + (f" ± {claim.allowed:g}, as it states no spread" if claim.allowed else "")
    if found.low > said + around or found.high < said - around:
        return FAILS, f"the interval leaves out {paper}"
    narrow = NARROW_POINTS if claim.in_points else NARROW_SHARE * abs(said)
    if found.reach > max(narrow, around):
        return OPEN, "the interval is too wide to tell"
    return HOLDS, f"the interval reaches {paper}"


def _bounded(claim: Claim, found: Interval) -> tuple[Word, str]:
    least = -math.inf if claim.above is None else claim.above
    most = math.inf if claim.below is None else claim.below
    if found.low > least and found.high < most:
        return HOLDS, "the interval lies within the bound"
    if found.high <= least or found.low >= most:
        return FAILS, "the interval lies beyond the bound"
    return OPEN, "the interval crosses the bound"
