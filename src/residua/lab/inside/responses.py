"""How strongly each layer responds, as in the residual networks paper's Figure 7."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any, Literal

import torch
from torch import Tensor, nn

from residua.errors import UserError
from residua.lab.inside.parts import Batches, check_ours, fitted, undisturbed
from residua.nets.layers import Chain
from residua.nets.network import Network, Vgg

Measured = Literal["norm", "convolution"]


@dataclass(frozen=True)
class Response:
    """One convolution's response, over all samples, channels and positions."""

    layer: str  # the convolution's name
    measured: Measured  # behind which it was taken: the norm that directly follows, or the convolution itself
    mean: float
    deviation: float


@dataclass(frozen=True)
class Responses:
    """The responses of the convolutions along the main path, in order."""

    samples: int
    layers: tuple[Response, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


class Moments:
    """Count, mean and variance of numbers that come in portions, in double precision."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def add(self, numbers: Tensor) -> None:
        """Count a portion."""
        numbers = numbers.detach().double()
        many = numbers.numel()
        if not many:
            return
        variance, mean = torch.var_mean(numbers, correction=0)
        distance, whole = mean.item() - self.mean, self.count + many
        self.squares += variance.item() * many + distance**2 * self.count * many / whole
        self.mean += distance * many / whole
        self.count = whole

    @property
    def deviation(self) -> float:
        """The standard deviation."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0


def responses(network: Network | Vgg, batches: Batches) -> Responses:
    """Measure the standard deviation of each layer's response, before the nonlinearity and the addition.

    It is taken behind the norm that directly follows a convolution; where none does, as behind the last
    convolution of a pre-activation unit, behind the convolution. The network runs in evaluation mode;
    projections on shortcuts are no layers of the main path.

    >>> responses(network, [(inputs, labels)]).layers[0].deviation  # doctest: +SKIP
    0.93
    """
    places = measured_places(network)
    moments = [Moments() for _ in places]
    samples = 0
    with undisturbed(network, training=False), _listening(network, places, moments):
        for inputs, _ in batches:
            with torch.inference_mode():
                network(fitted(network, inputs))
            samples += len(inputs)
    if not samples:
        raise UserError("responses need at least one picture.")
    found = zip(places, moments, strict=True)
    return Responses(
        samples,
        tuple(Response(layer, kind, seen.mean, seen.deviation) for (layer, _, kind), seen in found),
    )


def measured_places(network: Network | Vgg) -> list[tuple[str, str, Measured]]:
    """Return each convolution of the main path, the module behind which it is measured, and which that is."""
    found = []
    check_ours(network)
    for name, block in network.plan.blocks:
        prefix = f"{name}." if name else ""
        for chain in (block.before, block.residual, block.after):
            found += [(prefix + layer, prefix + behind, kind) for layer, behind, kind in _in_chain(chain)]
    here = dict(network.named_modules())  # some units may be left out
    return [place for place in found if place[1] in here]


def _in_chain(chain: Chain) -> Iterator[tuple[str, str, Measured]]:
    for (name, layer), following in zip_longest(chain, chain[1:]):
        if layer.kind == "convolution":
            normalized = following is not None and following[1].kind == "norm"
            yield (name, following[0], "norm") if normalized else (name, name, "convolution")


@contextlib.contextmanager
def _listening(
    network: nn.Module, places: list[tuple[str, str, Measured]], moments: list[Moments]
) -> Iterator[None]:
    """Let each module's output be counted."""
    with contextlib.ExitStack() as stack:
        for (_, behind, _), seen in zip(places, moments, strict=True):

            def count(_module: nn.Module, _inputs: Any, output: Tensor, seen: Moments = seen) -> None:
                seen.add(output)

            stack.callback(network.get_submodule(behind).register_forward_hook(count).remove)
        yield
