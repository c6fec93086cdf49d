"""A forward pass that is kept, so that a gradient can be carried back along any path through it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from residua.lab.inside.parts import Part, fitted, parts_of, undisturbed
from residua.nets.network import Network, Unit, Vgg


@dataclass(frozen=True)
class Link:
    """One part of a pass: `output = after(shortcut + residual)`, each a graph of its own from x."""

    part: Part
    x: Tensor
    shared: Tensor  # what both ways get: x, or x activated
    way: Tensor | None  # the shortcut before its lambda; None where there is none
    shortcut: Tensor | None
    carried: Tensor | None  # the same with the gate, if any, as a constant
    residual: Tensor
    total: Tensor
    output: Tensor
    factor: float | None  # lambda of the shortcut, on average; None where it is no scaled identity

    def back(self, gradient: Tensor) -> Tensor:
        """Carry dE/doutput back to dE/dx."""
        ways = [self.residual] if self.shortcut is None else [self.shortcut, self.residual]
        total = self._before_activation(gradient)
        return _pulled(ways, self.x, [total] * len(ways))

    def back_unchanged(self, gradient: Tensor) -> Tensor:
        """Carry a gradient back on the shortcut alone, times lambda: what no weight has a part in."""
        if self.carried is None:
            return torch.zeros_like(self.x)
        return _pulled([self.carried], self.x, [self._before_activation(gradient)])

    def back_selected(self, gradient: Tensor) -> Tensor:
        """Carry a gradient back to where a change of shape took it from, and nothing else."""
        if self.way is None or self.way is self.shared:
            return gradient
        return _pulled([self.way], self.shared, [gradient])

    def back_along(self, gradient: Tensor, through: Tensor) -> Tensor:
        """Carry each sample's gradient back through the residual where that is said, else the shortcut."""
        total = self._before_activation(gradient)
        learned = through.to(total).view(-1, *[1] * (total.dim() - 1))
        ways: list[tuple[Tensor, Tensor]] = []
        if bool(through.any()):
            ways.append((self.residual, total * learned))
        if self.shortcut is not None and not bool(through.all()):
            ways.append((self.shortcut, total * (1 - learned)))
        outputs, gradients = map(list, zip(*ways, strict=True))
        return _pulled(outputs, self.x, gradients)

    def _before_activation(self, gradient: Tensor) -> Tensor:
        """Carry a gradient back through what follows the addition."""
        if self.output is self.total:
            return gradient
        return _pulled([self.output], self.total, [gradient])


@dataclass(frozen=True)
class Pass:
    """A forward pass: from the inputs through all parts to dE/dx of what the last part gives."""

    inputs: Tensor
    start: Tensor  # what the stem made of the inputs
    links: tuple[Link, ...]
    gradient: Tensor  # dE/dx_L, where E is the sum of the samples' cross entropies

    def gradients(self) -> list[Tensor]:
        """Return dE/dx of every part's input in order, and of the last one's output."""
        found = [self.gradient]
        for link in reversed(self.links):
            found.append(link.back(found[-1]))
        return found[::-1]

    def at_inputs(self, through: Tensor) -> Tensor:
        """Return dE/dinputs along one path for each sample; `through` says (units, samples) which."""
        gradient = self.gradient
        for link, each in zip(reversed(self.links), reversed(through.unbind()), strict=True):
            gradient = link.back_along(gradient, each)
        return gradient if self.start is self.inputs else _pulled([self.start], self.inputs, [gradient])


@contextmanager
def kept_pass(network: Network | Vgg, inputs: Tensor, labels: Tensor) -> Iterator[Pass]:
    """Run a network in the mode it is in and keep the pass; statistics that move are put back at the end."""
    whole = parts_of(network)
    with undisturbed(network), torch.inference_mode(False), torch.enable_grad():
        leaf = fitted(network, inputs).detach().clone().requires_grad_()
        x = start = whole.stem(leaf)
        links = []
        for part in whole.parts:
            links.append(_link(part, _cut(x)))
            x = links[-1].output
        end = _cut(x)
        logits = whole.head(end)
        loss = F.cross_entropy(logits, labels.to(logits.device), reduction="sum")
        (gradient,) = torch.autograd.grad(loss, end)
        yield Pass(leaf, start, tuple(links), gradient)


def norms(gradient: Tensor) -> Tensor:
    """Return each sample's norm, in double precision, on the CPU."""
    found: Tensor = gradient.detach().double().flatten(1).norm(dim=1)
    return found.cpu()


def _link(part: Part, x: Tensor) -> Link:
    unit = part.unit
    if unit is None or unit.kind is None:
        output = part.run(x)
        return Link(part, x, x, None, None, None, output, output, output, None)
    shared = unit.before(x)
    h, f = unit.scales(shared)
    way = unit.shortcut(shared)
    shortcut = carried = h * way
    if isinstance(h, Tensor):
        carried = h.detach() * way
    learned: Tensor | float = unit.residual(shared)
    residual = f * (0 * way if isinstance(learned, float) else learned)  # a number where it is left out
    output = total = shortcut + residual
    if unit.block.after:
        total = _cut(total)
        output = unit.after(total * 1)  # it may overwrite what it gets, which must not be the leaf
    return Link(part, x, shared, way, shortcut, carried, residual, total, output, _factor(part, h))


def _factor(part: Part, h: Tensor | float) -> float | None:
    """Return lambda: the scale, the mean gate, or 1.

    Dropout's is 1 on average. Where the shape changes without weights, what is passed on is x itself, a part
    of it: that is 1 too, and which part is taken into account by itself.
    """
    block = cast(Unit, part.unit).block
    if any(layer.kind not in ("dropout", "subsample") for _, layer in block.shortcut or ()):
        return None
    return h.detach().double().mean().item() if isinstance(h, Tensor) else h


def _cut(x: Tensor) -> Tensor:
    return x.detach().requires_grad_()


def _pulled(outputs: list[Tensor], x: Tensor, gradients: list[Tensor]) -> Tensor:
    (found,) = torch.autograd.grad(outputs, x, gradients, retain_graph=True)
    return found
