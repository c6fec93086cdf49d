"""A network as a stem, parts that follow one another, and a head: what lesions and gradients walk along."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from residua.errors import UserError
from residua.nets.layers import Layer, Shape
from residua.nets.modules import run
from residua.nets.network import Network, Unit, Vgg

Run = Callable[[Tensor], Tensor]
Batches = Iterable[tuple[Tensor, Tensor]]  # inputs as the network takes them, and labels


class InapplicableError(UserError):
    """A network has nothing of what is to be measured."""


@dataclass(frozen=True)
class Part:
    """A residual unit, a plain one, or a VGG's convolution with its norm, its ReLU and the pool before it."""

    name: str
    inputs: Shape
    outputs: Shape
    run: Run
    skip: Run | None  # what stays when its residual is left out; None where nothing else fits its shapes
    unit: Unit | None = None  # None in a VGG


@dataclass(frozen=True)
class Parts:
    """A whole network: `logits = head(parts(stem(inputs)))`."""

    stem: Run
    parts: tuple[Part, ...]
    head: Run


def check_ours(network: object) -> None:
    """Fail for a network of another library, whose parts nobody knows here."""
    if not isinstance(network, (Network, Vgg)):
        raise UserError(
            f"a {type(network).__name__} is no network of Residua: convert its weights (`residua convert`), "
            "and measure what residua.load(...).network is."
        )


def parts_of(network: Network | Vgg) -> Parts:
    """Take a network apart; the parts are its own modules, nothing is copied."""
    check_ours(network)
    if isinstance(network, Network):
        return Parts(network.stem, tuple(map(_of_unit, network.units)), network.head)
    features = [block.main for name, block in network.plan.blocks if name == "features"]
    layers = {name: layer for chain in features for name, layer in chain}
    *chains, rest = _cut_behind_relus(layers)
    return Parts(nn.Identity(), tuple(_of_chain(network, chain) for chain in chains), _head(network, rest))


def _of_unit(unit: Unit) -> Part:
    inputs, outputs = unit.block.inputs, unit.block.outputs
    skip: Run | None = None
    if unit.block.shortcut is not None:

        def skip(x: Tensor) -> Tensor:
            shared = unit.before(x)
            return unit.after(unit.scales(shared)[0] * unit.shortcut(shared))

    elif inputs == outputs:
        skip = nn.Identity()
    return Part(unit.name, inputs, outputs, unit, skip, unit)


def _cut_behind_relus(layers: dict[str, Layer]) -> list[dict[str, Layer]]:
    """Return chains of a VGG's layers: each convolution with the pool before it; then the last pool."""
    chains: list[dict[str, Layer]] = [{}]
    for name, layer in layers.items():
        chains[-1][name] = layer
        if layer.kind == "relu":
            chains.append({})
    return chains


def _of_chain(network: Vgg, chain: dict[str, Layer]) -> Part:
    lead = tuple(name for name, layer in chain.items() if layer.kind == "max_pool")
    ((name, convolution),) = [step for step in chain.items() if step[1].kind == "convolution"]
    fits = convolution.inputs == convolution.outputs
    return Part(
        f"features.{name}",
        next(iter(chain.values())).inputs,
        convolution.outputs,
        lambda x: run(network.features, tuple(chain), x),
        (lambda x: run(network.features, lead, x)) if fits else None,
    )


def _head(network: Vgg, rest: dict[str, Layer]) -> Run:
    def head(x: Tensor) -> Tensor:
        x = run(network, network._pool, run(network.features, tuple(rest), x))
        logits: Tensor = network.classifier(x)
        return logits

    return head


@contextlib.contextmanager
def undisturbed(network: nn.Module, training: bool | None = None) -> Iterator[None]:
    """Put a network into a mode for a while; afterwards its modes and running statistics are as they were."""
    modes = {module: module.training for module in network.modules()}
    buffers = {buffer: buffer.clone() for buffer in network.buffers()}
    if training is not None:
        network.train(training)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        with torch.no_grad():
            for buffer, value in buffers.items():
                buffer.copy_(value)


def fitted(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return inputs where the network is and in its type."""
    weight = next(network.parameters())
    return inputs.to(weight.device, weight.dtype)
