"""A network unravelled: what every unit got, what it added, and where the sum of the papers holds."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from residua.errors import UserError
from residua.nets.network import Network, Unit, Vgg

BREAKS_BY_SHORTCUT = {
    "scaling": "the shortcut is scaled",
    "exclusive_gating": "the shortcut is gated",
    "shortcut_only_gating": "the shortcut is gated",
}
BREAKS_BY_LAYER = {
    "convolution": "the shortcut is a projection",
    "subsample": "the shortcut changes shape",
    "dropout": "the shortcut has dropout",
}


@dataclass(frozen=True)
class Term:
    """One unit's part: `output = after(shortcut + residual)`, where `x` came in."""

    name: str
    x: Tensor
    shortcut: Tensor | float
    residual: Tensor
    output: Tensor
    breaks: tuple[str, ...]  # why output is not x + residual; empty where it is


@dataclass(frozen=True)
class Unravelled:
    """All terms of one forward pass, and the logits."""

    terms: tuple[Term, ...]
    logits: Tensor

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Runs of units (first, past the last) along which `x_L = x_l + sum F_i` must hold."""
        broken = [-1, *(i for i, term in enumerate(self.terms) if term.breaks), len(self.terms)]
        return [(low + 1, high) for low, high in pairwise(broken) if high > low + 1]

    def defect(self, first: int, past: int) -> float:
        """Norm of `x_L - (x_l + sum F_i)` over the norm of `x_L`, for the units first to past - 1."""
        last = self.terms[past - 1].output.detach().double()
        total = self.terms[first].x.detach().double()
        for term in self.terms[first:past]:
            if term.residual.shape != total.shape:
                raise UserError(f"the sum from unit {first} breaks at {term.name}, where the shape changes.")
            total = total + term.residual.detach().double()
        return float((last - total).norm() / last.norm())

    def report(self) -> str:
        """Say where the sum holds, how well, and why it does not elsewhere."""
        lines = [
            f"{self.terms[low].name} to {self.terms[high - 1].name}: "
            f"x_L = x_l + sum of {high - low} F_i, relative error {self.defect(low, high):.1e}"
            for low, high in self.spans
        ]
        lines += [f"{term.name}: no, {' and '.join(term.breaks)}" for term in self.terms if term.breaks]
        return "\n".join(lines)


def unravel(network: Network | Vgg, x: Tensor) -> Unravelled:
    """Run a network and keep x_l and F_l of every unit."""
    if not isinstance(network, Network):
        raise UserError(f"a {type(network).__name__} has no residual units to unravel.")
    x = network.stem(x)
    terms = []
    for unit in network.units:
        terms.append(_term(unit, x))
        x = terms[-1].output
    return Unravelled(tuple(terms), network.head(x))


def _term(unit: Unit, x: Tensor) -> Term:
    shared = unit.before(x)
    h, f = unit.scales(shared)
    shortcut = 0.0 if unit.kind is None else h * unit.shortcut(shared)
    residual: Tensor | float = f * unit.residual(shared)
    if isinstance(residual, float):  # skipped
        residual = torch.zeros_like(torch.as_tensor(shortcut))
    return Term(unit.name, x, shortcut, residual, unit.after(shortcut + residual), breaks(unit))


def breaks(unit: Unit) -> tuple[str, ...]:
    """Say why a unit's output is not x plus its residual; empty where it is."""
    block = unit.block
    reasons = ["it has no shortcut"] if block.shortcut is None else []
    if block.before:
        reasons.append("the shortcut carries the activated x")
    if unit.kind in BREAKS_BY_SHORTCUT:
        reasons.append(BREAKS_BY_SHORTCUT[unit.kind])
    for _, layer in block.shortcut or ():
        if layer.kind in BREAKS_BY_LAYER and (layer.kind != "dropout" or unit.training):
            reasons.append(BREAKS_BY_LAYER[layer.kind])
    if block.after:
        reasons.append(f"{' and '.join(layer.kind for _, layer in block.after)} follow the addition")
    return tuple(reasons)
