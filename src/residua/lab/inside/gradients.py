"""How the gradient comes back through a network, as the identity mappings paper predicts it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor

from residua.lab.inside.passes import Link, kept_pass, norms
from residua.nets.network import Network, Vgg
from residua.nets.unravel import BREAKS_BY_LAYER, BREAKS_BY_SHORTCUT, breaks
from residua.nets.values import within

NEAR_ZERO = 0.1
MOST = 0.95  # of the samples
EXACT = {BREAKS_BY_SHORTCUT["scaling"], BREAKS_BY_LAYER["subsample"]}  # the sum holds with these written in


@dataclass(frozen=True)
class Terms:
    """The two terms of dE/dx_l towards the end of the unit's span, and what the paper predicts."""

    until: str  # the span's last unit
    end: float  # norm of dE/dx_L, behind that unit
    product: float  # of the lambdas from this unit to the span's end
    predicted: float  # the product times the norm of what of dE/dx_L stands where x_l was passed on to
    direct: float  # norm of dE/dx_L carried back on the shortcuts alone
    through: float  # norm of the rest, which came through the weights
    exact: bool  # whether x_L = product * x_l + sum of F holds, so that direct is what is predicted


@dataclass(frozen=True)
class UnitGradient:
    """The gradient at one unit's input; norms are means over the samples of each sample's own."""

    name: str
    norm: float  # of dE/dx_l
    near_zero: float  # share of samples whose gradient here is far smaller than behind the last unit
    least: float  # how many times that behind the last unit it is for most samples at least
    factor: float | None  # lambda of its shortcut: 1, the scale or the mean gate; None for no or another one
    terms: Terms | None  # None where the unit has no lambda
    breaks: tuple[str, ...]  # why the papers' sum does not hold across this unit


@dataclass(frozen=True)
class Gradients:
    """The gradient at every unit; E is a sample's cross entropy."""

    samples: int
    near: float  # what part of the gradient behind the last unit counts as near zero
    units: tuple[UnitGradient, ...]
    end: float  # norm of dE/dx behind the last unit

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def gradients(
    network: Network | Vgg, inputs: Tensor, labels: Tensor, *, near: float = NEAR_ZERO
) -> Gradients:
    """Measure dE/dx_l at every unit, and split it into the direct term and that through the weights.

    Within a span of units whose shortcuts are x times a lambda, dE/dx_l is dE/dx_L carried back on the
    shortcuts alone, plus what comes through the weights. Where nothing else lies on the way the direct term
    is the product of the lambdas times dE/dx_L, exactly; a change of shape without weights passes on a part
    of it. Behind an activation after the addition, as in the original order, the papers' sum does not hold:
    there the direct term is also masked by that activation (and `exact` is false). A gate counts as a
    constant. The network runs in the mode it is in.

    >>> [unit.norm for unit in gradients(network, inputs, labels).units]  # doctest: +SKIP
    [0.41, 0.35, 0.3]
    """
    within("near", near, 0, 1, closed=True)
    with kept_pass(network, inputs, labels) as kept:
        totals = kept.gradients()
        reasons = [() if link.part.unit is None else breaks(link.part.unit) for link in kept.links]
        terms: list[Terms | None] = [None] * len(kept.links)
        for first, past in _spans(kept.links):
            terms[first:past] = _split(kept.links, totals, reasons, first, past)
        units = tuple(
            UnitGradient(
                link.part.name, _mean(total), *_near_zero(total, totals[-1], near), link.factor, found, why
            )
            for link, total, found, why in zip(kept.links, totals, terms, reasons, strict=False)
        )
        return Gradients(len(inputs), near, units, _mean(totals[-1]))


def gradient_norms(network: Network | Vgg, inputs: Tensor, labels: Tensor) -> list[float]:
    """Measure the norm of dE/dx at every unit's input in order, and behind the last one: nothing else."""
    with kept_pass(network, inputs, labels) as kept:
        return [_mean(total) for total in kept.gradients()]


def predicted_norms(found: Gradients) -> list[float]:
    """Return for every unit what the lambdas predict; NaN without one."""
    return [unit.terms.predicted if unit.terms else math.nan for unit in found.units]


def _spans(links: Sequence[Link]) -> list[tuple[int, int]]:
    """Runs of units (first, past the last) that have a lambda each."""
    broken = [-1, *(place for place, link in enumerate(links) if link.factor is None), len(links)]
    return [(low + 1, high) for low, high in pairwise(broken) if high > low + 1]


def _split(
    links: Sequence[Link],
    totals: Sequence[Tensor],
    reasons: Sequence[tuple[str, ...]],
    first: int,
    past: int,
) -> list[Terms | None]:
    """Return the terms of the units from first to past - 1, walking back from the span's end."""
    direct = selected = totals[past]
    end, product, exact = _mean(totals[past]), 1.0, True
    found: list[Terms | None] = []
    for place in range(past - 1, first - 1, -1):
        link, total = links[place], totals[place]
        direct, selected = link.back_unchanged(direct), link.back_selected(selected)
        product *= link.factor or 0.0
        exact = exact and EXACT.issuperset(reasons[place])
        until, predicted = links[past - 1].part.name, abs(product) * _mean(selected)
        found.append(Terms(until, end, product, predicted, _mean(direct), _mean(total - direct), exact))
    return found[::-1]


def _near_zero(here: Tensor, end: Tensor, near: float) -> tuple[float, float]:
    """Return the share of samples with nearly nothing of the gradient at the end, and what most have."""
    some, all_of_it = norms(here), norms(end)
    shares = (some / all_of_it)[all_of_it > 0]
    least = shares.quantile(1 - MOST).item() if len(shares) else 0.0
    return (some < near * all_of_it).double().mean().item(), least


def _mean(gradient: Tensor) -> float:
    return norms(gradient).mean().item()
