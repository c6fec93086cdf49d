"""The plan: a spec expanded once into named layers with their shapes.

The network, the counts, the tables and the names of weights all read it, so no fact is written twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from operator import mul

from residua.nets import expansion, vgg
from residua.nets.layers import Block, Group, Shape, Step
from residua.nets.spec import AnySpec, VggSpec
from residua.nets.values import at_least, checked


@dataclass(frozen=True)
class Plan:
    """Every layer of a network in order, for one size of input."""

    spec: AnySpec
    inputs: Shape
    groups: tuple[Group, ...]

    @property
    def stages(self) -> tuple[Group, ...]:
        """The groups made of units (of a VGG: of convolutions)."""
        return tuple(group for group in self.groups if group.role == "stage")

    @property
    def strides(self) -> tuple[int, ...]:
        """How much smaller each stage's output is than the image."""
        steps = [math.prod(layer.stride for _, b in g.blocks for _, layer in b.main) for g in self.groups]
        strides = list(accumulate(steps, mul))
        return tuple(
            stride for group, stride in zip(self.groups, strides, strict=True) if group.role == "stage"
        )

    @property
    def blocks(self) -> Iterator[tuple[str, Block]]:
        """All blocks with their names, in order."""
        return (named for group in self.groups for named in group.blocks)

    @property
    def layers(self) -> Iterator[Step]:
        """All layers under the full names that their weights have, in order."""
        for name, block in self.blocks:
            prefix = f"{name}." if name else ""
            yield from ((prefix + step, layer) for step, layer in block.steps())

    @cached_property
    def parameters(self) -> int:
        """Learned numbers."""
        return sum(group.parameters for group in self.groups)

    @cached_property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image."""
        return sum(group.multiply_adds for group in self.groups)

    @cached_property
    def depth(self) -> int:
        """Depth by the papers' rule: convolutions and linear layers on the main path, no projections."""
        return sum(group.depth for group in self.groups)


def plan(spec: AnySpec, side: int | None = None) -> Plan:
    """Expand a spec for images of the given side (by default the spec's own)."""
    size = checked("size", spec.input_size if side is None else side, int)
    at_least("size", size, 1)
    inputs = Shape(spec.in_channels, size)
    groups = vgg.groups_of(spec, inputs) if isinstance(spec, VggSpec) else expansion.groups_of(spec, inputs)
    return Plan(spec, inputs, groups)
