"""What becomes of a network when units are left out or swapped, as in the unravelled view's lesion study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.errors import UserError
from residua.judging.figures.ranking import ranked
from residua.lab.inside.choosing import sequences, subsets
from residua.lab.inside.parts import Batches, InapplicableError, Parts, Run, fitted, parts_of, undisturbed
from residua.nets.network import Network, Vgg
from residua.nets.values import at_least

DRAWS = 10
MOST_LEFT_OUT, COUNTS = 20, 8

Variant = Mapping[int, Run]  # what runs at some places instead of the parts there
Missed = NDArray[np.bool_]  # of each sample, whether its class is missed


@dataclass(frozen=True)
class LeftOut:
    """One unit left out."""

    name: str
    error: float | None  # in percent; None where it cannot be left out, for nothing else fits its shapes


@dataclass(frozen=True)
class Lesions:
    """The error with each unit left out."""

    samples: int
    error: float  # of the whole network, in percent
    units: tuple[LeftOut, ...]
    saved: float  # share of the units' runs that were spared, as what comes before a lesion runs once
    missed: Mapping[str, Missed] = field(default_factory=dict, compare=False, repr=False)  # "": by the whole

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, without what is known of each sample."""
        return {name: value for name, value in asdict(self).items() if name != "missed"}


@dataclass(frozen=True)
class Lesion:
    """One random lesion."""

    units: tuple[str, ...]  # left out; of swaps one pair after the other
    error: float  # in percent
    tau: float | None = None  # of swaps: Kendall's rank correlation with the old order


@dataclass(frozen=True)
class Drawn:
    """Random lesions of so many units or pairs."""

    count: int
    trials: tuple[Lesion, ...]

    @property
    def median(self) -> float:
        """The median error."""
        return self.quartiles[1]

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """The errors' lower quartile, median and upper quartile."""
        low, middle, high = np.quantile([trial.error for trial in self.trials], (0.25, 0.5, 0.75)).tolist()
        return low, middle, high

    @property
    def tau(self) -> float | None:
        """The median of Kendall's tau, of swaps."""
        taus = [trial.tau for trial in self.trials if trial.tau is not None]
        return float(np.median(taus)) if taus else None


@dataclass(frozen=True)
class RandomLesions:
    """The error with more and more units left out, or pairs swapped, at random."""

    samples: int
    error: float  # of the whole network, in percent
    seed: int
    rows: tuple[Drawn, ...]

    @property
    def rise(self) -> float:
        """How steadily the error rises with the number, from -1 to 1, the rank correlation of all draws.

        It is the share of pairs of lesions where the larger one does more harm, less that where it does less.
        """
        drawn = [(0, self.error), *((row.count, trial.error) for row in self.rows for trial in row.trials)]
        signs = [
            float(np.sign(more - less))
            for (small, less), (large, more) in combinations(drawn, 2)
            if small < large
        ]
        return fmean(signs)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, with the quartiles of every row."""
        rows = [asdict(row) | {"quartiles": list(row.quartiles), "tau": row.tau} for row in self.rows]
        return asdict(self) | {"rows": rows}


def each(network: Network | Vgg, batches: Batches) -> Lesions:
    """Measure the error with each unit left out: a residual unit becomes its shortcut, a plain one nothing.

    A VGG's convolution goes with its norm and its ReLU. What lies before a unit runs once for all, which
    spares about half of the work.

    >>> max(each(network, batches).units, key=lambda unit: unit.error or 0).name  # doctest: +SKIP
    'layer2.0'
    """
    whole = parts_of(network)
    places = _removable(whole)
    variants = [_left_out(whole, [place]).variant for place in places]
    first, others = _missed(network, whole, batches, variants)
    missed = {whole.parts[place].name: each for place, each in zip(places, others, strict=True)}
    units = tuple(
        LeftOut(part.name, _percent(missed[part.name]) if part.name in missed else None)
        for part in whole.parts
    )
    saved = _saved(len(whole.parts), places)
    return Lesions(len(first), _percent(first), units, saved, {"": first} | missed)


def at_random(
    network: Network | Vgg,
    batches: Batches,
    *,
    counts: Sequence[int] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> RandomLesions:
    """Measure the error with units left out at random, `draws` times for every count.

    Without `counts` up to eight are tried, to at most 20 units. Where there are no more choices than draws,
    each is tried once.
    """
    whole = parts_of(network)
    places = _removable(whole)
    counts = _checked(counts or usual_counts(len(places)), draws, len(places), "units that can be left out")
    choices = {
        count: [
            _left_out(whole, [places[number] for number in row])
            for row in subsets(seed, "lesions", len(places), count, draws)
        ]
        for count in counts
    }
    return _tried(network, whole, batches, seed, choices)


def swaps(
    network: Network | Vgg,
    batches: Batches,
    *,
    counts: Sequence[int] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> RandomLesions:
    """Measure the error with pairs of equally shaped units swapped at random, one pair after another.

    No pair is swapped twice. Every trial has Kendall's tau between the new order of all units and the old.
    """
    whole = parts_of(network)
    pairs = _pairs(whole)
    if not pairs:
        raise InapplicableError("nothing can be swapped: no two units of this network have one shape.")
    most = min(len(pairs), len(whole.parts))
    counts = _checked(counts or usual_counts(most), draws, len(pairs), "pairs of one shape")
    choices = {
        count: [
            _swapped(whole, [pairs[number] for number in row])
            for row in sequences(seed, "swaps", len(pairs), count, draws)
        ]
        for count in counts
    }
    return _tried(network, whole, batches, seed, choices)


def removable(network: Network | Vgg) -> int:
    """Return how many units can be left out."""
    return len(_removable(parts_of(network)))


def swappable(network: Network | Vgg) -> bool:
    """Whether any two units have one shape."""
    return bool(_pairs(parts_of(network)))


def usual_counts(most: int) -> list[int]:
    """Return how many units are left out where nobody says: from one to 20 or as many as there are."""
    return sorted({round(count) for count in np.linspace(1, min(most, MOST_LEFT_OUT), COUNTS).tolist()})


def kendall_tau(order: Sequence[int]) -> float:
    """Return the rank correlation of an order of different numbers with the ascending one, from -1 to 1.

    >>> kendall_tau([0, 2, 1])
    0.3333333333333333
    """
    pairs = list(combinations(order, 2))
    return sum(1 if one < other else -1 for one, other in pairs) / len(pairs) if pairs else 1.0


@dataclass(frozen=True)
class Choice:
    """A lesion that was drawn and is to be tried."""

    units: tuple[str, ...]
    variant: Variant
    tau: float | None = None


def _tried(
    network: Network | Vgg, whole: Parts, batches: Batches, seed: int, choices: Mapping[int, Sequence[Choice]]
) -> RandomLesions:
    variants = [choice.variant for row in choices.values() for choice in row]
    first, others = _missed(network, whole, batches, variants)
    left = map(_percent, others)
    rows = [
        Drawn(count, tuple(Lesion(choice.units, next(left), choice.tau) for choice in row))
        for count, row in choices.items()
    ]
    return RandomLesions(len(first), _percent(first), seed, tuple(rows))


def _percent(missed: Missed) -> float:
    return 100 * int(missed.sum()) / len(missed)


def _missed(
    network: Network | Vgg, whole: Parts, batches: Batches, variants: Sequence[Variant]
) -> tuple[Missed, list[Missed]]:
    """Return which samples the whole network misses, and each variant."""
    starting: list[list[int]] = [[] for _ in range(len(whole.parts) + 1)]
    for number, variant in enumerate(variants):
        starting[min(variant, default=len(whole.parts))].append(number)
    first: list[Missed] = []
    others: list[list[Missed]] = [[] for _ in variants]
    with undisturbed(network, training=False):
        for inputs, labels in batches:
            with torch.inference_mode():
                x = whole.stem(fitted(network, inputs))
                for place, part in enumerate(whole.parts):
                    for number in starting[place]:
                        y = _from(whole, place, variants[number], x)
                        others[number].append(_wrong(y, labels))
                    x = part.run(x)
                first.append(_wrong(whole.head(x), labels))
            for number in starting[-1]:  # swapped back to what they were
                others[number].append(first[-1])
    if not first:
        raise UserError("lesions need at least one picture.")
    return np.concatenate(first), [np.concatenate(each) for each in others]


def _from(whole: Parts, first: int, variant: Variant, x: Tensor) -> Tensor:
    for place in range(first, len(whole.parts)):
        x = variant.get(place, whole.parts[place].run)(x)
    return whole.head(x)


def _wrong(logits: Tensor, labels: Tensor) -> Missed:
    missed: Missed = (ranked(logits, 1)[:, 0] != labels.to(logits.device)).cpu().numpy()
    return missed


def _removable(whole: Parts) -> list[int]:
    places = [place for place, part in enumerate(whole.parts) if part.skip]
    if not places:
        raise InapplicableError("nothing can be left out: every unit of this network changes the shape.")
    return places


def _left_out(whole: Parts, places: Sequence[int]) -> Choice:
    skips = {place: skip for place in places if (skip := whole.parts[place].skip)}
    return Choice(_names(whole, places), skips)


def _pairs(whole: Parts) -> list[tuple[int, int]]:
    return [pair for pair in combinations(range(len(whole.parts)), 2) if _alike(whole, *pair)]


def _alike(whole: Parts, one: int, other: int) -> bool:
    first, second = whole.parts[one], whole.parts[other]
    return (first.inputs, first.outputs) == (second.inputs, second.outputs)


def _swapped(whole: Parts, pairs: Sequence[tuple[int, int]]) -> Choice:
    order = list(range(len(whole.parts)))
    for one, other in pairs:
        order[one], order[other] = order[other], order[one]
    moved = {place: whole.parts[unit].run for place, unit in enumerate(order) if place != unit}
    return Choice(_names(whole, sum(pairs, ())), moved, kendall_tau(order))


def _names(whole: Parts, places: Sequence[int]) -> tuple[str, ...]:
    return tuple(whole.parts[place].name for place in places)


def _saved(length: int, places: Sequence[int]) -> float:
    """Return the share of spared runs: a lesion at place p runs only what comes behind it."""
    plainly = length + len(places) * (length - 1)
    return 1 - (length + sum(length - 1 - place for place in places)) / plainly if plainly else 0.0


def _checked(counts: Sequence[int], draws: int, most: int, of_what: str) -> list[int]:
    at_least("draws", draws, 1)
    for count in counts:
        at_least("counts", count, 1)
        if count > most:
            raise UserError(f"counts={count} is not valid: this network has {most} {of_what}.")
    return sorted(set(counts))
