"""Which paths through a residual network carry its gradient, sampled as the unravelled view does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, combinations
from statistics import linear_regression
from typing import Any

import torch
from torch import Tensor

from residua.lab.inside.choosing import sequences
from residua.lab.inside.parts import InapplicableError, check_ours
from residua.lab.inside.passes import kept_pass, norms
from residua.nets.network import Network, Vgg
from residua.nets.values import at_least, within

DRAWS = 4
SHARE = 0.95
ROUNDING = 1e-12
MOST_UNITS = 1000  # the number of paths through more leaves the range of floating numbers


@dataclass(frozen=True)
class PathLength:
    """All paths through so many residuals."""

    length: int
    paths: int  # how many there are: n over length
    magnitude: float  # of the gradient at the input that came along one of them, on average
    total: float  # magnitude times paths
    share: float  # the total over the sum of all lengths' totals


@dataclass(frozen=True)
class Paths:
    """How many paths there are of every length, and what they carry."""

    samples: int
    draws: int
    seed: int
    units: int
    lengths: tuple[PathLength, ...]  # from 0 to the number of units
    share: float  # of the gradient that the effective paths carry at least
    effective: tuple[int, int]  # the shortest range of lengths, both ends with it, that carries it

    @property
    def effective_share(self) -> float:
        """The effective paths' share of all paths."""
        low, high = self.effective
        return float(sum(each.paths for each in self.lengths[low : high + 1]) / 2**self.units)

    @property
    def decay(self) -> float:
        """How many times as much gradient comes along a path that has one residual more, fitted over all."""
        points = [(each.length, math.log(each.magnitude)) for each in self.lengths if each.magnitude > 0]
        return math.exp(linear_regression(*zip(*points, strict=True)).slope) if len(points) > 1 else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self) | {"effective_share": self.effective_share, "decay": self.decay}


def paths(
    network: Network | Vgg,
    inputs: Tensor,
    labels: Tensor,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    share: float = SHARE,
    progress: Callable[[int, int], None] | None = None,
) -> Paths:
    """Measure how much gradient comes to the input along paths of every length.

    One forward pass; then for each length, `draws` times, backward through the residuals of so many random
    units and through the shortcuts of all others; every path once where there are no more than draws. In
    evaluation mode each sample takes a path of its own; in training mode, where a norm makes the samples
    depend on each other, all take the same. A magnitude is the mean over samples and draws of the norm of
    the gradient of a sample's cross entropy. `progress` hears of every length.

    >>> paths(network, inputs, labels).effective  # doctest: +SKIP
    (2, 6)
    """
    at_least("draws", draws, 1)
    within("share", share, 0, 1, closed=True)
    count = _units(network)
    magnitudes = []
    with kept_pass(network, inputs, labels) as kept:
        for length in range(count + 1):
            ways = _ways(seed, count, length, draws, len(inputs), alone=not network.training)
            found = [norms(kept.at_inputs(way)).mean().item() for way in ways]
            magnitudes.append(sum(found) / len(found))
            if progress:
                progress(length + 1, count + 1)
    lengths = path_lengths(magnitudes)
    effective = shortest_range([each.share for each in lengths], share)
    return Paths(len(inputs), draws, seed, count, lengths, share, effective)


def shortest_range(shares: Sequence[float], wanted: float) -> tuple[int, int]:
    """Return the ends of the shortest run that holds at least the wanted sum; of equal ones the fullest.

    >>> shortest_range([0.05, 0.6, 0.3, 0.05], 0.9)
    (1, 2)
    """
    sums = [0.0, *accumulate(shares)]
    wanted = min(wanted, sums[-1])
    runs = ((low, high) for low in range(len(shares)) for high in range(low, len(shares)))
    enough = ((low, high) for low, high in runs if sums[high + 1] - sums[low] >= wanted - ROUNDING)
    return min(enough, key=lambda run: (run[1] - run[0], sums[run[0]] - sums[run[1] + 1]))


def path_lengths(magnitudes: Sequence[float]) -> tuple[PathLength, ...]:
    """Return what the paths of each length carry, by the magnitude along one of them."""
    count = len(magnitudes) - 1
    many = [math.comb(count, length) for length in range(count + 1)]
    totals = [magnitude * paths for magnitude, paths in zip(magnitudes, many, strict=True)]
    if not 0 < sum(totals) < math.inf:
        raise InapplicableError(
            "no gradient comes to the input: the network is certain of its answers, or gives no numbers."
        )
    return tuple(
        PathLength(length, paths, magnitude, total, total / sum(totals))
        for length, (paths, magnitude, total) in enumerate(zip(many, magnitudes, totals, strict=True))
    )


def _ways(seed: int, count: int, length: int, draws: int, samples: int, alone: bool) -> Iterator[Tensor]:
    """Yield random paths of one length (units, samples), or all of them for all samples."""
    if math.comb(count, length) <= draws:
        for way in combinations(range(count), length):
            yield _through([way], count).expand(count, samples)
        return
    each = samples if alone else 1
    drawn = sequences(seed, "paths", count, length, draws * each)
    for first in range(0, len(drawn), each):
        yield _through(drawn[first : first + each], count).expand(count, samples)


def _through(paths: Sequence[Iterable[int]], count: int) -> Tensor:
    """Return for each unit whether a path leads through its residual (units, paths)."""
    through = torch.zeros(count, len(paths), dtype=torch.bool)
    for column, units in enumerate(paths):
        through[list(units), column] = True
    return through


def _units(network: Network | Vgg) -> int:
    check_ours(network)
    if not isinstance(network, Network) or not network.spec.residual:
        raise InapplicableError(
            "this network has no shortcuts: one path leads through it, and nothing can be sampled."
        )
    if len(network.units) > MOST_UNITS:
        raise InapplicableError(
            f"paths are measured through at most {MOST_UNITS:,} units, not {len(network.units):,}."
        )
    return len(network.units)
