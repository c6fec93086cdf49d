"""The parts of a plan: layers with their shapes, chains of them, and the block that adds two chains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal[
    "convolution",
    "norm",
    "relu",
    "max_pool",
    "average_pool",
    "adaptive_pool",
    "subsample",
    "squeeze_excitation",
    "stochastic_depth",
    "dropout",
    "flatten",
    "linear",
]


class Shape(NamedTuple):
    """One image's activation: channels and side (it is square)."""

    channels: int
    side: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return self.channels * self.side**2


@dataclass(frozen=True, slots=True)
class Layer:
    """One operation, with all that is needed to build it and to count it."""

    kind: Kind
    inputs: Shape
    outputs: Shape
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    bias: bool = False
    border: str = ""  # how a pool fills it
    around: bool = False  # of a subsampling: new channels on both sides of the old
    rate: float = 0.0  # of dropout and stochastic depth
    hidden: int = 0  # of squeeze and excitation
    inplace: bool = False  # of a ReLU: whether it may overwrite its input

    @property
    def parameters(self) -> int:
        """Learned numbers."""
        into, out = self.inputs.channels, self.outputs.channels
        match self.kind:
            case "convolution":
                return out * (into // self.groups) * self.kernel**2 + out * self.bias
            case "linear":
                return out * into + out * self.bias
            case "norm":
                return 2 * out
            case "squeeze_excitation":
                return 2 * into * self.hidden + into + self.hidden
            case _:
                return 0

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of convolutions and linear layers; all else counts as free, as in the papers."""
        into, out = self.inputs.channels, self.outputs.channels
        match self.kind:
            case "convolution":
                return self.outputs.elements * (into // self.groups) * self.kernel**2
            case "linear":
                return out * into
            case "squeeze_excitation":
                return 2 * into * self.hidden
            case _:
                return 0

    @property
    def counts_as_deep(self) -> bool:
        """Whether the papers' rule counts it in the depth, if it lies on the main path."""
        return self.kind in ("convolution", "linear")


Step = tuple[str, Layer]
Chain = tuple[Step, ...]


@dataclass(frozen=True)
class Block:
    """`x = before(x); x = shortcut(x) + residual(x); x = after(x)`, where any chain may be empty.

    Without a shortcut (None) there is no addition: a plain unit, the stem and the head are such blocks.
    Names are relative to the block's own.
    """

    residual: Chain
    before: Chain = ()
    shortcut: Chain | None = None
    after: Chain = ()
    gate: Layer | None = None

    @property
    def main(self) -> Chain:
        """The path through the residual, which the papers count the depth along."""
        return self.before + self.residual + self.after

    def steps(self) -> Iterator[Step]:
        """All layers; a normalization or activation used on two paths is listed once for each use."""
        yield from self.before
        yield from self.shortcut or ()
        if self.gate:
            yield "gate", self.gate
        yield from self.residual
        yield from self.after

    @property
    def adds_in_place(self) -> bool:
        """Whether the sum may overwrite the residual: a ReLU's output is needed in the backward pass."""
        learned = [layer for _, layer in self.residual if layer.kind != "stochastic_depth"]
        return learned[-1].kind != "relu"

    @property
    def parameters(self) -> int:
        """Learned numbers."""
        return sum(layer.parameters for _, layer in self.steps())

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image."""
        return sum(layer.multiply_adds for _, layer in self.steps())

    @property
    def depth(self) -> int:
        """Convolutions and linear layers along the main path."""
        return sum(layer.counts_as_deep for _, layer in self.main)

    @property
    def inputs(self) -> Shape:
        """What goes in."""
        return self.main[0][1].inputs

    @property
    def outputs(self) -> Shape:
        """What comes out."""
        return self.main[-1][1].outputs


@dataclass(frozen=True)
class Group:
    """One row of the papers' tables: the stem, its pool, a stage, or the head."""

    name: str
    role: Literal["stem", "stage", "head"]
    blocks: tuple[tuple[str, Block], ...]

    @property
    def units(self) -> list[Block]:
        """The blocks that have weights on the main path."""
        return [block for _, block in self.blocks if block.depth]

    @property
    def outputs(self) -> Shape:
        """What the group passes on."""
        return self.blocks[-1][1].outputs

    @property
    def parameters(self) -> int:
        """Learned numbers."""
        return sum(block.parameters for _, block in self.blocks)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image."""
        return sum(block.multiply_adds for _, block in self.blocks)

    @property
    def depth(self) -> int:
        """Convolutions and linear layers along the main path."""
        return sum(block.depth for _, block in self.blocks)


def convolution(
    inputs: Shape,
    channels: int,
    kernel: int,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    bias: bool = False,
) -> Layer:
    """Convolution padded so that it keeps the side, but for its stride."""
    outputs = Shape(channels, -(-inputs.side // stride))
    return Layer("convolution", inputs, outputs, kernel, stride, dilation, groups, bias)


def linear(inputs: int, outputs: int) -> Layer:
    """Fully connected layer, always with a bias."""
    return Layer("linear", Shape(inputs, 1), Shape(outputs, 1), bias=True)
