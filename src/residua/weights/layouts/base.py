"""A layout: how another library names and shapes the same weights. One table, used in both directions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from residua.errors import UserError
from residua.files import replacing
from residua.nets.layers import Layer
from residua.nets.plan import Plan, plan
from residua.nets.spec import AnySpec, VggSpec
from residua.nets.zoo import NAMES, spec, title
from residua.weights.metadata import ClassEntry, Metadata, Preprocessing
from residua.weights.sources import Source
from residua.weights.tensorfile import write_tensors

Shape = tuple[int, ...]
Tensors = Mapping[str, Tensor]


class Axes(NamedTuple):
    """How a tensor's axes differ: from ours to theirs, and back."""

    there: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]
    shape: Callable[[Shape], Shape]


SAME = Axes(lambda t: t, lambda t: t, lambda s: s)
HWIO = Axes(
    lambda t: t.permute(2, 3, 1, 0), lambda t: t.permute(3, 2, 0, 1), lambda s: (s[2], s[3], s[1], s[0])
)
TRANSPOSED = Axes(lambda t: t.t(), lambda t: t.t(), lambda s: (s[1], s[0]))
POINTWISE = Axes(lambda t: t[:, :, None, None], lambda t: t[:, :, 0, 0], lambda s: (*s, 1, 1))
POINTWISE_HWIO = Axes(lambda t: t.t()[None, None], lambda t: t[0, 0].t(), lambda s: (1, 1, s[1], s[0]))


class Row(NamedTuple):
    """One tensor: our name and shape, their name, and the axes between; optional ones may be absent."""

    ours: str
    shape: Shape
    theirs: str
    axes: Axes = SAME
    optional: bool = False

    @property
    def their_shape(self) -> Shape:
        """Its shape over there."""
        return self.axes.shape(self.shape)


class Part(NamedTuple):
    """What another library calls one of a layer's tensors, and how it turns it."""

    name: str
    axes: Axes = SAME


TORCH_PARTS: dict[str, dict[str, Part]] = {
    "convolution": {"weight": Part("weight"), "bias": Part("bias")},
    "linear": {"weight": Part("weight"), "bias": Part("bias")},
    "norm": {
        name: Part(name) for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    },
}


@dataclass(frozen=True)
class Match:
    """A network that a file may hold, and what does not fit."""

    layout: Layout
    spec: AnySpec
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()

    @property
    def problems(self) -> int:
        """How many tensors do not fit."""
        return len(self.missing) + len(self.unexpected) + len(self.misshapen)


class Layout(ABC):
    """Names and shapes of one library."""

    name: ClassVar[str]
    members: ClassVar[tuple[str, ...]]  # patterns of the zoo's names
    separator: ClassVar[str] = "."
    parts: ClassVar[Mapping[str, Mapping[str, Part]]] = TORCH_PARTS
    suffixes: ClassVar[tuple[str, ...]] = (".pth", ".pt", ".safetensors")

    @abstractmethod
    def layer_name(self, ours: str, plan: Plan) -> str:
        """Return what the library calls a layer of ours ("layer1.0.conv1")."""

    def rows(self, plan: Plan) -> Iterator[Row]:
        """All tensors of a network in this layout."""
        for name, layer in plan.layers:
            for part, shape in tensors_of(layer, plan.spec):
                ours, _, tensor = part.rpartition(".")
                theirs = self.layer_name(f"{name}.{ours}" if ours else name, plan)
                kind = "convolution" if ours else layer.kind
                if tensor not in self.parts[kind]:
                    continue
                written, axes = self.parts[kind][tensor]
                optional = tensor == "num_batches_tracked"
                yield Row(f"{name}.{part}", shape, f"{theirs}{self.separator}{written}", axes, optional)

    def table(self, network: AnySpec) -> tuple[Row, ...]:
        """All tensors of a network in this layout; the last one's are remembered."""
        return _table(self, network)

    def names(self) -> list[str]:
        """Names of the zoo that the layout can express."""
        return [name for name in NAMES if any(fnmatchcase(name, pattern) for pattern in self.members)]

    def base(self, name: str) -> AnySpec:
        """Return a network by name as this library computes it."""
        return spec(name)

    def expresses(self, network: AnySpec) -> bool:
        """Whether this library has such a network, so that `--to` may write it."""
        heads = {"num_classes": network.num_classes, "in_channels": network.in_channels}
        wanted = inference(network)
        return any(inference(self.base(name).edit(**heads)) == wanted for name in self.names_like(network))

    def names_like(self, network: AnySpec) -> list[str]:
        """Names of the zoo among which a network would be."""
        del network
        return self.names()

    def candidates(self, tensors: Tensors, config: Any = None) -> Iterator[AnySpec]:
        """Networks that the tensors may be, with classes and channels read off their shapes."""
        del config
        for name in self.names():
            yield self.fitted(self.base(name), tensors)

    def head_rows(self, network: AnySpec) -> list[Row]:
        """The classifier's tensors."""
        rows = self.table(network)
        head = next(row for row in reversed(rows) if len(row.shape) == 2).ours.rpartition(".")[0]
        return [row for row in rows if row.ours.rpartition(".")[0] == head]

    def fitted(self, network: AnySpec, tensors: Tensors) -> AnySpec:
        """Give a network the classes and channels that a file's first and last tensors have."""
        rows = self.table(network)
        first = next(row for row in rows if len(row.shape) == 4)
        last = next(row for row in reversed(rows) if len(row.shape) == 2)
        edits = {}
        if _like(first, tensors):
            edits["in_channels"] = first.axes.back(tensors[first.theirs]).shape[1]
        if _like(last, tensors):
            edits["num_classes"] = last.axes.back(tensors[last.theirs]).shape[0]
        return network.edit(**{k: v for k, v in edits.items() if v > 0 and v != getattr(network, k)})

    def compare(self, network: AnySpec, tensors: Tensors) -> Match:
        """Account for every tensor of the file and of the network."""
        rows = self.table(network)
        wanted = {row.theirs: row for row in rows}
        missing = [row.theirs for row in rows if row.theirs not in tensors and not row.optional]
        unexpected = [name for name in tensors if name not in wanted]
        misshapen = [
            f"{name} {tuple(tensors[name].shape)} instead of {row.their_shape}"
            for name, row in wanted.items()
            if name in tensors and tuple(tensors[name].shape) != row.their_shape
        ]
        return Match(self, network, tuple(missing), tuple(unexpected), tuple(misshapen))

    def read(self, network: AnySpec, tensors: Tensors) -> dict[str, Tensor]:
        """Turn their tensors into a state dict of ours."""
        rows = (row for row in self.table(network) if row.theirs in tensors)
        return {row.ours: row.axes.back(tensors[row.theirs]).contiguous() for row in rows}

    def write(self, network: AnySpec, state: Tensors) -> dict[str, Tensor]:
        """Turn a state dict of ours into their tensors."""
        if not self.expresses(network):
            have = ", ".join(self.members)
            raise UserError(
                f"{self.name} has no network like {title(network)}: what it has computes like {have}."
            )
        return {row.theirs: row.axes.there(state[row.ours]).contiguous() for row in self.table(network)}

    def store(self, path: Path, tensors: dict[str, Tensor], metadata: Metadata) -> None:
        """Write their tensors in a file type that the library reads."""
        del metadata
        suffix = path.suffix.lower()
        if suffix not in self.suffixes:
            raise UserError(f"{path} is no file type of {self.name}: valid are {', '.join(self.suffixes)}.")
        if suffix == ".safetensors":
            write_tensors(path, tensors)
        else:
            save_torch(path, self.checkpoint(tensors))

    def checkpoint(self, tensors: dict[str, Tensor]) -> dict[str, Any]:
        """Return what a PyTorch file of the library holds."""
        return tensors

    def metadata(self, source: Source) -> tuple[tuple[ClassEntry, ...] | None, Preprocessing | None]:
        """Return the classes and the preprocessing that a source states, where its library writes them."""
        del source
        return None, None


@lru_cache(maxsize=1)
def _table(layout: Layout, network: AnySpec) -> tuple[Row, ...]:
    return tuple(layout.rows(plan(network)))


def _like(row: Row, tensors: Tensors) -> bool:
    """Whether a file has the tensor with as many axes, and not an empty one."""
    found = tensors.get(row.theirs)
    return found is not None and found.dim() == len(row.their_shape) and found.numel() > 0


def save_torch(path: Path, data: object) -> None:
    """Write a PyTorch file, whole or not at all."""
    with replacing(path) as temporary:
        torch.save(data, temporary)


def inference(network: AnySpec) -> AnySpec:
    """Leave out of a spec what does not change what the trained network computes."""
    edits: dict[str, Any] = {"name": "", "input_size": 224}
    if isinstance(network, VggSpec):
        return network.edit(**edits, dropout_rate=0.5)
    if network.norm_momentum is not None:
        edits["norm_momentum"] = 0.1
    if network.gate_bias is not None:
        edits["gate_bias"] = 0.0
    if network.dropout_rate is not None:
        edits["dropout_rate"] = 0.5
    return network.edit(**edits, stochastic_depth=0.0, zero_init_residual=False)


def tensors_of(layer: Layer, network: AnySpec) -> Iterator[tuple[str, Shape]]:
    """Names and shapes of a layer's tensors in our state dicts."""
    into, out = layer.inputs.channels, layer.outputs.channels
    match layer.kind:
        case "convolution":
            yield "weight", (out, into // layer.groups, layer.kernel, layer.kernel)
            if layer.bias:
                yield "bias", (out,)
        case "linear":
            yield "weight", (out, into)
            yield "bias", (out,)
        case "norm":
            yield from (("weight", (out,)), ("bias", (out,)))
            if network.norm != "group":
                yield from (("running_mean", (out,)), ("running_var", (out,)), ("num_batches_tracked", ()))
        case "squeeze_excitation":
            yield from (("fc1.weight", (layer.hidden, into, 1, 1)), ("fc1.bias", (layer.hidden,)))
            yield from (("fc2.weight", (into, layer.hidden, 1, 1)), ("fc2.bias", (into,)))
        case _:
            return
