"""Take units out of a network for a while; it is exactly restored afterwards, also after an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from torch import Tensor, nn

from residua.errors import UserError, unknown

if TYPE_CHECKING:
    from residua.nets.network import Network, Unit


@contextmanager
def skipped(network: Network, chosen: Sequence[int | str]) -> Iterator[None]:
    """Leave out residuals: a unit becomes its shortcut, a plain unit the identity."""
    places = [place(network, which) for which in chosen]
    plain = [where for where in places if unit_at(network, where).block.shortcut is None]
    with removed(network, plain), ExitStack() as stack:
        for where in set(places) - set(plain):
            stack.enter_context(_shadowed(unit_at(network, where), "residual", _nothing))
        yield


@contextmanager
def removed(network: Network, chosen: Sequence[int | str]) -> Iterator[None]:
    """Take whole units out, shortcut and activation included."""
    places = [place(network, which) for which in chosen]
    for where in places:
        _needs_equal_shape(unit_at(network, where))
    with ExitStack() as stack:
        for where in places:
            stack.enter_context(_replaced(network, where, nn.Identity()))
        yield


@contextmanager
def swapped(network: Network, one: int | str, other: int | str) -> Iterator[None]:
    """Exchange two units."""
    here, there = place(network, one), place(network, other)
    first, second = unit_at(network, here), unit_at(network, there)
    if (first.block.inputs, first.block.outputs) != (second.block.inputs, second.block.outputs):
        raise UserError(f"{here} and {there} cannot be swapped: they differ in shape.")
    with _replaced(network, here, second), _replaced(network, there, first):
        yield


def place(network: Network, which: int | str) -> str:
    """Return the name of a unit's place ("layer1.0") from that name or from its number."""
    names = [name for stage in network.plan.stages for name, _ in stage.blocks]
    if isinstance(which, int):
        if not -len(names) <= which < len(names):
            raise UserError(f"unit {which} does not exist: this network has units 0 to {len(names) - 1}.")
        return names[which]
    if not isinstance(which, str):
        raise UserError(f"unit {which!r} is neither a number nor a name.")
    if which not in names:
        raise unknown("unit", which, names)
    return which


def unit_at(network: Network, where: str) -> Unit:
    """Return the unit that stands at a place now."""
    unit = network.get_submodule(where)
    if isinstance(unit, nn.Identity):
        raise UserError(f"{where} is removed already.")
    return unit  # type: ignore[return-value]  # a stage holds units and what `removed` put there


def _needs_equal_shape(unit: Unit) -> None:
    if unit.block.inputs != unit.block.outputs:
        raise UserError(
            f"{unit.name} cannot be left out: nothing else turns its input into its output's shape."
        )


@contextmanager
def _replaced(network: Network, where: str, substitute: nn.Module) -> Iterator[None]:
    parent, _, child = where.rpartition(".")
    children = network.get_submodule(parent)._modules
    before = children[child]
    children[child] = substitute
    try:
        yield
    finally:
        children[child] = before


@contextmanager
def _shadowed(unit: Unit, method: str, substitute: object) -> Iterator[None]:
    before = unit.__dict__.get(method)
    unit.__dict__[method] = substitute
    try:
        yield
    finally:
        if before is None:
            del unit.__dict__[method]
        else:
            unit.__dict__[method] = before


def _nothing(_: Tensor) -> float:
    return 0.0
