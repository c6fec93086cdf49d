"""The one network: its units are the equation, everything else about it is in the plan."""

from __future__ import annotations

import operator
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple, cast

from torch import Tensor, nn

from residua.nets import checkpointing, initialization, lesions
from residua.nets.layers import Block
from residua.nets.modules import attach, build, run
from residua.nets.plan import Plan
from residua.nets.spec import SCALED, Spec, VggSpec


class Unit(nn.Module):
    """One residual unit, `x = shortcut(x) + residual(x)`; without a shortcut, a plain one."""

    gate: nn.Conv2d

    def __init__(self, name: str, block: Block, spec: Spec) -> None:
        super().__init__()
        self.name, self.block = name, block
        self.kind = spec.shortcut
        self.scale = spec.shortcut_scale, spec.residual_scale
        self.add: Callable[[Tensor, Tensor], Tensor] = operator.iadd if block.adds_in_place else operator.add
        self._before = attach(self, block.before, spec)
        self._residual = attach(self, block.residual, spec)
        self._shortcut = attach(self, block.shortcut or (), spec)
        self._after = attach(self, block.after, spec)
        if block.gate:
            self.gate = cast(nn.Conv2d, build(block.gate))

    def forward(self, x: Tensor) -> Tensor:
        """Add what the unit has learned to what came in."""
        x = self.before(x)
        if self.kind is None:
            x = self.residual(x)
        elif self.kind in SCALED:
            h, f = self.scales(x)
            x = h * self.shortcut(x) + f * self.residual(x)
        else:
            x = self.add(self.residual(x), self.shortcut(x))
        return self.after(x)

    def before(self, x: Tensor) -> Tensor:
        """Activation that both paths share."""
        return run(self, self._before, x)

    def shortcut(self, x: Tensor) -> Tensor:
        """What x becomes on the shortcut."""
        return run(self, self._shortcut, x)

    def residual(self, x: Tensor) -> Tensor:
        """What the unit has learned."""
        return run(self, self._residual, x)

    def after(self, x: Tensor) -> Tensor:
        """Activation behind the addition."""
        return run(self, self._after, x)

    def scales(self, x: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """Factors of the shortcut and of the residual."""
        if self.kind == "exclusive_gating":
            gate = self.gate(x).sigmoid()
            return 1 - gate, gate
        if self.kind == "shortcut_only_gating":
            return 1 - self.gate(x).sigmoid(), 1.0
        if self.kind == "scaling":
            return cast(tuple[float, float], self.scale)
        return 1.0, 1.0

    def extra_repr(self) -> str:
        """Shown in the printed network."""
        return self.name


class Feature(NamedTuple):
    """A stage's output, with what a detector or a segmenter needs to know of it."""

    name: str
    output: Tensor
    stride: int
    channels: int


class Network(nn.Module):
    """A network of the family, with torchvision's names for its weights."""

    fc: nn.Linear

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        spec = cast(Spec, plan.spec)
        self.plan, self.spec = plan, spec
        self.checkpointing = False
        stem = [block.main for group in plan.groups if group.role == "stem" for _, block in group.blocks]
        self._stem = attach(self, sum(stem, ()), spec)
        for index, stage in enumerate(plan.stages, 1):
            units = (Unit(name, block, spec) for name, block in stage.blocks)
            self.add_module(f"layer{index}", nn.Sequential(*units))
        self._head = attach(self, plan.groups[-1].blocks[0][1].main, spec)
        initialization.initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a batch of images."""
        x = self.stem(x)
        for unit in self.units:
            x = checkpointing.run(unit, x) if self.checkpointing else unit(x)
        return self.head(x)

    def stem(self, x: Tensor) -> Tensor:
        """Everything before the first unit."""
        return run(self, self._stem, x)

    def head(self, x: Tensor) -> Tensor:
        """Everything behind the last unit."""
        return run(self, self._head, x)

    @property
    def stages(self) -> list[nn.Sequential]:
        """The stages, each a sequence of units."""
        return [getattr(self, f"layer{index}") for index in range(1, len(self.plan.stages) + 1)]

    @property
    def units(self) -> list[Unit]:
        """All residual units in order."""
        return [unit for stage in self.stages for unit in stage if isinstance(unit, Unit)]

    def features(self, x: Tensor) -> list[Feature]:
        """Return every stage's output; the last with the final activation, as the classifier sees it."""
        x = self.stem(x)
        found = []
        for stage, planned, stride in zip(self.stages, self.plan.stages, self.plan.strides, strict=True):
            for unit in stage:
                x = checkpointing.run(unit, x) if self.checkpointing else unit(x)
            found.append(Feature(planned.name, x, stride, planned.outputs.channels))
        activation = self._head[: self._head.index("avgpool")]
        found[-1] = found[-1]._replace(output=run(self, activation, x))
        return found

    def reset_parameters(self) -> None:
        """Draw all weights anew, for instance after `to_empty`."""
        initialization.initialize(self)

    def skip(self, *units: int | str) -> AbstractContextManager[None]:
        """Within `with`, leave out the residuals of units (by place or name); shortcuts stay."""
        return lesions.skipped(self, units)

    def swap(self, one: int | str, other: int | str) -> AbstractContextManager[None]:
        """Within `with`, exchange two units of equal shape."""
        return lesions.swapped(self, one, other)

    def remove(self, *units: int | str) -> AbstractContextManager[None]:
        """Within `with`, take units out as if they had never been; they must keep their input's shape."""
        return lesions.removed(self, units)


class Vgg(nn.Module):
    """A VGG baseline with torchvision's names: `features` is a `Sequential` here, as everyone expects."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan, self.spec = plan, cast(VggSpec, plan.spec)
        (_, pool), (_, classifier) = plan.groups[-1].blocks
        self.features = nn.Sequential()
        for block in (block for stage in plan.stages for _, block in stage.blocks):
            attach(self.features, block.main)
        self._pool = attach(self, pool.main)
        self.classifier = nn.Sequential()
        attach(self.classifier, classifier.main)
        initialization.initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a batch of images."""
        return cast(Tensor, self.classifier(run(self, self._pool, self.features(x))))

    def reset_parameters(self) -> None:
        """Draw all weights anew, for instance after `to_empty`."""
        initialization.initialize(self)


def build_network(plan: Plan) -> Network | Vgg:
    """Build the module that a plan describes."""
    return Vgg(plan) if isinstance(plan.spec, VggSpec) else Network(plan)
