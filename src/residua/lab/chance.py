"""How far chance goes in what was measured: the seeds' own, and that of which pictures were held out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.judging.figures.intervals import Z

# Two-sided 95% quantiles of Student's distribution with 1, 2, ... degrees of freedom; the last beyond too.
# fmt: off
STUDENT = (
    12.707, 4.303, 3.183, 2.777, 2.571, 2.447, 2.365, 2.307, 2.263, 2.229,
    2.201, 2.179, 2.161, 2.145, 2.132, 2.120, 2.110, 2.101, 2.094, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.049, 2.046, 2.043,
)
# fmt: on
ALIKE = 2.0  # times: networks whose means are no farther apart lend each other what they know of chance
LENT = 8  # degrees of freedom that all others count for at most, as they spread a little otherwise
FAR = 2.0  # times the variance of the others: one's own alone counts from there on
ROUNDING = 1e-9  # of the values: what differs less does not differ
Table = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """What was measured of one network: a value for each seed, and what each picture adds to it."""

    values: Mapping[int, float]
    wrong: Mapping[int, NDArray[Any]] | None = None  # whose means are the values, in percent

    @property
    def spread(self) -> Spread | None:
        """Return what the values come to; None without any."""
        values = list(self.values.values())
        return Spread.of(values) if values else None

    def by_picture(self, seeds: Sequence[int]) -> Table | None:
        """Return a row for each of the seeds, of the same pictures; None where that is not known."""
        rows = [(self.wrong or {}).get(seed) for seed in seeds]
        known = [row for row in rows if row is not None]
        if len(known) < len(rows) or len({len(row) for row in known}) != 1:
            return None
        return np.stack(known).astype(np.float64)


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
class Interval:
    """Where the mean of many more repetitions lies, in 95 of 100 cases."""

    mean: float
    reach: float  # to each side

    @property
    def low(self) -> float:
        """The lower end."""
        return self.mean - self.reach

    @property
    def high(self) -> float:
        """The upper end."""
        return self.mean + self.reach


def of_mean(sample: Sample, others: Sequence[Sample] = ()) -> Interval | None:
    """Return the interval of a network's mean over two seeds or more; None if nothing tells of chance."""
    seeds = sorted(sample.values)
    values = [sample.values[seed] for seed in seeds]
    alike = _alike([values], [list(other.values.values()) for other in others])
    degrees = sum(len(each) - 1 for each in alike)
    lent = float(sum(len(each) * np.var(each) for each in alike)) / degrees if degrees else 0.0
    return _interval(values, sample.by_picture(seeds), lent, degrees)


def of_difference(less: Sample, than: Sample, others: Sequence[Sample] = ()) -> Interval | None:
    """Return the interval of `than` - `less`, by pairs of one seed; None if nothing tells of chance."""
    seeds = sorted(less.values.keys() & than.values.keys())
    some, more = ([sample.values[seed] for seed in seeds] for sample in (less, than))
    same = [[each.values[seed] for seed in seeds] for each in others if each.values.keys() >= {*seeds}]
    alike = _alike([some, more], same)
    pictures = _minus(than.by_picture(seeds), less.by_picture(seeds))
    differences = [b - a for a, b in zip(some, more, strict=True)]
    degrees = len(alike) * (len(seeds) - 1)
    return _interval(differences, pictures, _beside(some, more, alike), degrees)


def _alike(own: Sequence[Sequence[float]], others: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    """Return those, each once, whose means are like one's own; one that failed spreads in its own way."""
    means = [fmean(values) for values in own]
    least, most = max(means) / ALIKE, min(means) * ALIKE
    found = {tuple(values): values for values in others if len(values) > 1}
    for values in own:
        found.pop(tuple(values), None)
    return [values for values in found.values() if 0 < least <= fmean(values) <= most]


def _minus(some: Table | None, others: Table | None) -> Table | None:
    if some is None or others is None or some.shape != others.shape:
        return None
    return some - others


def _beside(some: Sequence[float], more: Sequence[float], others: Sequence[Sequence[float]]) -> float:
    """Return a difference's variance as the other networks tell it.

    What all networks have in common at a seed is taken out, as the difference takes it out.
    """
    if not others:
        return 0.0
    table = np.array([some, more, *others])
    rest = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    pair = (table[1] - table[0]).var() * table.shape[1] / 2  # the part that the pair itself tells
    return float(2 * max(0.0, (rest**2).sum() - pair) / (len(others) * (table.shape[1] - 1)))


def _interval(
    values: Sequence[float], by_picture: Table | None, lent: float, degrees: int
) -> Interval | None:
    """Return the interval of a mean, with the variance that others lend and its degrees of freedom."""
    count, own, free = len(values), float(np.var(values, ddof=1)), len(values) - 1
    pictures, least = (0.0, 0.0) if by_picture is None else _pictures(by_picture)
    if degrees and own <= FAR * lent:
        weight = min(LENT, degrees)
        own, free = (free * own + weight * lent) / (free + weight), free + weight
    seeds = STUDENT[min(free, len(STUDENT)) - 1] * math.sqrt(max(own, least) / count)
    reach = math.hypot(seeds, Z * math.sqrt(pictures))
    mean = fmean(values)
    return Interval(mean, reach) if reach > ROUNDING * max(map(abs, values)) else None


def _pictures(each: Table) -> tuple[float, float]:
    """Return two variances in squared points, given for each seed and picture what it adds.

    The first is the mean's, from the choice of pictures; what seeds do to each picture is taken out, as the
    seeds' own variance holds it. The second is that, and the least that the seeds' variance can be: two
    seeds may miss as many pictures by coincidence, but not the same ones.
    """
    seeds, pictures = each.shape
    if pictures < 2:
        return 0.0, 0.0
    seed = max(0.0, each.var(0, ddof=1).mean() - each.mean(1).var(ddof=1))
    choice = max(0.0, each.mean(0).var(ddof=1) - seed / seeds)
    return float(100**2 * choice / pictures), float(100**2 * seed / pictures)
