"""A residual network's spec expanded into groups of layers: every choice of the spec is applied here."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from residua.nets.layers import Block, Chain, Group, Layer, Shape, Step, convolution, linear
from residua.nets.spec import GATED, Order, Spec, inner_width, output_width

CONVOLUTIONS = {"basic": 2, "bottleneck": 3}


class Turn(NamedTuple):
    """How an order departs from conv-BN-ReLU: steps moved from the end to the front, steps after the sum."""

    front: int
    after: int


ORDERS: dict[Order, Turn] = {
    "original": Turn(0, 1),
    "bn_after_addition": Turn(0, 2),
    "relu_before_addition": Turn(0, 0),
    "relu_only_preactivation": Turn(1, 0),
    "full_preactivation": Turn(2, 0),
}


def groups_of(spec: Spec, inputs: Shape) -> tuple[Group, ...]:
    """Expand stem, stages and head."""
    groups = [Group("conv1", "stem", (("", Block(_stem(spec, inputs))),))]
    if spec.stem_pool:
        pool = _pool(groups[-1].outputs, spec.stem_pool)
        groups.append(Group("pool", "stem", (("", Block((("maxpool", pool),))),)))
    strides = _Strides(spec)
    for stage in range(len(spec.units)):
        groups.append(_stage(spec, stage, groups[-1].outputs, strides))
    return (*groups, Group("head", "head", (("", Block(_head(spec, groups[-1].outputs))),)))


class Pace(NamedTuple):
    """A unit's stride as meant and as taken, and the dilation before and behind its strided convolution."""

    meant: int
    stride: int
    rate: int
    rate_behind: int


class _Strides:
    """Turns strides into dilation once the output stride is reached."""

    def __init__(self, spec: Spec) -> None:
        self.limit = spec.output_stride
        self.stride = spec.stem_stride
        self.dilation = 1

    def step(self, stride: int) -> Pace:
        """Take a stride, or dilate what lies behind it."""
        taken, rate = stride, self.dilation
        if self.limit is not None and self.stride * stride > self.limit:
            self.dilation *= stride
            taken = 1
        self.stride *= taken
        return Pace(stride, taken, rate, self.dilation)


def _stage(spec: Spec, stage: int, inputs: Shape, strides: _Strides) -> Group:
    count = spec.units[stage]
    last_stage = len(spec.units) - 1
    strided = {"first": 0 if stage > 0 else None, "last": count - 1 if stage < last_stage else None}
    done, total = sum(spec.units[:stage]), sum(spec.units)
    blocks = []
    for index in range(count):
        pace = strides.step(2 if index == strided[spec.stride_unit] else 1)
        drop = spec.stochastic_depth * (done + index + 1) / total
        block = _unit(spec, stage, inputs, pace, index == 0, drop)
        blocks.append((f"layer{stage + 1}.{index}", block))
        inputs = block.outputs
    return Group(f"conv{stage + 2}_x", "stage", tuple(blocks))


@lru_cache(maxsize=4096)
def _unit(
    spec: Spec,
    stage: int,
    inputs: Shape,
    pace: Pace,
    first: bool,
    drop: float,
) -> Block:
    """Expand one unit: conv-BN-ReLU repeated, turned as the order says, and cut where the addition is."""
    absorbed = first and stage == 0 and spec.first_activation == "stem"
    front, behind = ORDERS[spec.order]
    shortcut_kind = _shortcut_kind(spec, inputs.channels != output_width(spec, stage), pace)
    shares = (first and spec.shared_activation == "stage") or (
        shortcut_kind == "projection" and spec.shared_activation == "projection"
    )
    steps = _main_path(spec, stage, inputs, pace)
    start, end = front if shares and not absorbed else 0, len(steps) - behind
    before, residual, after = steps[:start], steps[front if absorbed else start : end], steps[end:]
    outputs = residual[-1][1].outputs
    residual += _residual_end(spec, outputs, drop)
    shortcut = gate = None
    if spec.residual:
        shortcut = _shortcut(spec, shortcut_kind, inputs, outputs, pace)
    if spec.shortcut in GATED:
        gate = convolution(inputs, outputs.channels, 1, pace.stride, bias=True)
    return Block(
        _finished(spec, residual), _finished(spec, before), shortcut, _finished(spec, after, fresh=True), gate
    )


def _residual_end(spec: Spec, shape: Shape, drop: float) -> Chain:
    """What scales the residual before the addition."""
    steps: list[Step] = []
    if spec.squeeze_excitation:
        hidden = max(8, int(shape.channels / spec.squeeze_excitation + 4) // 8 * 8)
        steps.append(("se", Layer("squeeze_excitation", shape, shape, hidden=hidden)))
    if drop:
        steps.append(("drop", Layer("stochastic_depth", shape, shape, rate=drop)))
    return tuple(steps)


def _main_path(spec: Spec, stage: int, inputs: Shape, pace: Pace) -> Chain:
    """All steps of a unit's main path, in the order of execution."""
    steps: list[Step] = []
    shapes = _convolutions(spec, stage, inputs, pace)
    cycle = [part for _ in shapes for part in ("conv", "bn", "relu")]
    front, _ = ORDERS[spec.order]
    cycle = cycle[len(cycle) - front :] + cycle[: len(cycle) - front]
    numbers = {"conv": 0, "bn": 0}
    for place, part in enumerate(cycle):
        if part == "relu":
            steps.append(("relu", Layer("relu", inputs, inputs)))
            continue
        numbers[part] += 1
        name = f"{part}{numbers[part]}"
        if part == "conv":
            normalized = place + 1 < len(cycle) and cycle[place + 1] == "bn"
            if spec.order == "bn_after_addition" and numbers["conv"] == len(shapes):
                normalized = False
            layer = shapes[numbers["conv"] - 1]
            steps.append((name, _biased(spec, layer, normalized)))
            inputs = layer.outputs
        else:
            steps.append((name, Layer("norm", inputs, inputs)))
    return tuple(steps)


def _convolutions(spec: Spec, stage: int, inputs: Shape, pace: Pace) -> list[Layer]:
    """The main path's convolutions."""
    inner, outer = inner_width(spec, stage), output_width(spec, stage)
    if spec.unit == "basic":
        first = convolution(inputs, inner, 3, pace.stride, pace.rate)
        return [first, convolution(first.outputs, outer, 3, 1, pace.rate_behind)]
    if spec.stride_place == "1x1":
        reduce, stride, rate = convolution(inputs, inner, 1, pace.stride), 1, pace.rate_behind
    else:
        reduce, stride, rate = convolution(inputs, inner, 1), pace.stride, pace.rate
    middle = convolution(reduce.outputs, inner, 3, stride, rate, spec.groups or 1)
    return [reduce, middle, convolution(middle.outputs, outer, 1)]


def _shortcut_kind(spec: Spec, widens: bool, pace: Pace) -> str:
    """Which shortcut a unit has: "projection", "subsample" (with zero channels) or "identity"."""
    if spec.shortcut == "convolution" or spec.projection == "C":
        return "projection"
    if spec.projection == "B" and (widens or (pace.meant > 1 and spec.stride_unit == "first")):
        return "projection"
    return "subsample" if widens or pace.stride > 1 else "identity"


def _shortcut(spec: Spec, kind: str, inputs: Shape, outputs: Shape, pace: Pace) -> Chain:
    steps: list[Step] = []
    if kind == "subsample":
        around = spec.zero_channels == "around"
        layer = Layer("subsample", inputs, outputs, stride=pace.stride, around=around)
        steps = [("downsample", layer)]
    elif kind == "projection":
        steps = _projection(spec, inputs, outputs, pace)
    if spec.shortcut == "dropout":
        steps.append(("dropout", Layer("dropout", outputs, outputs, rate=spec.dropout_rate or 0.0)))
    return _finished(spec, steps)


def _projection(spec: Spec, inputs: Shape, outputs: Shape, pace: Pace) -> list[Step]:
    layers: list[Layer | None] = []
    stride = pace.stride
    if spec.projection_pool:
        pooled = Shape(inputs.channels, outputs.side)
        pool = Layer("average_pool", inputs, pooled, 2, stride, pace.rate) if pace.meant > 1 else None
        layers.append(pool)
        inputs, stride = pooled, 1
    normalized = not spec.preactivated
    layers.append(_biased(spec, convolution(inputs, outputs.channels, 1, stride), normalized))
    if normalized:
        layers.append(Layer("norm", outputs, outputs))
    return [(f"downsample.{place}", layer) for place, layer in enumerate(layers) if layer]


def _stem(spec: Spec, inputs: Shape) -> Chain:
    """First convolutions, and the first activation where it is the stem's."""
    turn = ORDERS[spec.order]
    normalizes = spec.first_activation != "unit" or turn.front == 1
    if spec.stem == "deep":
        steps = _deep_stem(spec, inputs)
    else:
        kernel, stride = (7, 2) if spec.stem == "imagenet" else (3, 1)
        steps = [("conv1", convolution(inputs, spec.stem_width, kernel, stride))]
    name, last = steps.pop()
    steps.append((name, _biased(spec, last, normalizes)))
    if normalizes:
        steps.append(("bn1", Layer("norm", last.outputs, last.outputs)))
    if spec.first_activation != "unit":
        steps.append(("relu", Layer("relu", last.outputs, last.outputs)))
    return _finished(spec, steps)


def _deep_stem(spec: Spec, inputs: Shape) -> list[Step]:
    half = max(1, spec.stem_width // 2)
    first = _biased(spec, convolution(inputs, half, 3, 2), True)
    second = _biased(spec, convolution(first.outputs, half, 3), True)
    shape = first.outputs
    norm, relu = Layer("norm", shape, shape), Layer("relu", shape, shape, inplace=True)
    last = convolution(second.outputs, spec.stem_width, 3)
    parts = (first, norm, relu, second, norm, relu, last)
    return [(f"conv1.{index}", layer) for index, layer in enumerate(parts)]


def _head(spec: Spec, inputs: Shape) -> Chain:
    """What is left of the last activation, then pooling and the classifier."""
    steps: list[Step] = []
    front = ORDERS[spec.order].front
    if front == 2:
        steps.append(("bn_last", Layer("norm", inputs, inputs)))
    if front:
        steps.append(("relu", Layer("relu", inputs, inputs)))
    pooled = Shape(inputs.channels, 1)
    steps += [
        ("avgpool", Layer("adaptive_pool", inputs, pooled)),
        ("flatten", Layer("flatten", pooled, pooled)),
        ("fc", linear(pooled.channels, spec.num_classes)),
    ]
    return _finished(spec, steps)


def _pool(inputs: Shape, kind: str) -> Layer:
    border = {"max": "none", "max_zero_padded": "zeros", "max_same": "same"}[kind]
    outputs = Shape(inputs.channels, -(-inputs.side // 2))
    return Layer("max_pool", inputs, outputs, kernel=3, stride=2, border=border)


def _biased(spec: Spec, layer: Layer, normalized: bool) -> Layer:
    """Give a convolution its bias; without any normalization every convolution needs one."""
    bias = spec.bias == "all" or spec.norm == "none" or (spec.bias == "unnormalized" and not normalized)
    return convolution(
        layer.inputs, layer.outputs.channels, layer.kernel, layer.stride, layer.dilation, layer.groups, bias
    )


def _finished(spec: Spec, steps: Iterable[Step], fresh: bool = False) -> Chain:
    """Leave out norms that the spec does not want, and let ReLUs overwrite what nobody else reads.

    A chain's own input may be read by others, unless it is fresh; a ReLU that keeps it is another module.
    """
    chain: list[Step] = []
    for name, layer in steps:
        if layer.kind == "norm" and spec.norm == "none":
            continue
        if layer.kind == "relu" and name == "relu":
            name = "relu" if fresh else "relu_kept"
            layer = Layer("relu", layer.inputs, layer.outputs, inplace=fresh)
        chain.append((name, layer))
        fresh = True
    return tuple(chain)
