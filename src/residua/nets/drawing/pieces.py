"""What a drawing of a network shows: labelled boxes, units with their shortcuts, and a few facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from residua.nets.description import quantity
from residua.nets.layers import Block, Chain, Group, Kind, Layer
from residua.nets.plan import Plan
from residua.nets.spec import GATED, Spec
from residua.nets.zoo import title

TIMES, MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"
GATE = f"{TIMES} (1 {MINUS} g)"

FOLDED = 7  # so many units alike, or more, are drawn as one stack; ResNet-34 and ResNet-50 have 5

ORDERS = {
    "bn_after_addition": "BN after addition",
    "relu_before_addition": "ReLU before addition",
    "relu_only_preactivation": "ReLU-only pre-activation",
    "full_preactivation": "full pre-activation",
}

HIDDEN: dict[Kind, str] = {"norm": "normalization", "relu": "ReLU", "dropout": "dropout"}

Stage = tuple[int, int]
"""Minus the side that a stage begins with, and how many stages before it begin with the same."""


@dataclass(frozen=True)
class Shortcut:
    """The arc beside a unit; it is dashed where it changes the shape."""

    dashed: bool
    label: str = ""


@dataclass(frozen=True)
class Piece:
    """What keeps together: a single layer, or a unit with its shortcut."""

    boxes: tuple[str, ...]
    side: int
    stage: Stage | None = None
    unit: bool = False
    shortcut: Shortcut | None = None
    gain: str = ""  # what the residual is multiplied by
    activation: str = ""  # what the residual and the shortcut share


@dataclass(frozen=True)
class Run:
    """Pieces alike, one behind the other; more than one are drawn as a stack."""

    piece: Piece
    count: int = 1

    @property
    def stacked(self) -> bool:
        """Whether it is drawn as a stack."""
        return self.count > 1


@dataclass(frozen=True)
class Picture:
    """One network as it is drawn."""

    title: str
    notes: tuple[str, ...]
    image: int
    runs: tuple[Run, ...]
    hidden: tuple[str, ...]  # what the main path has and the boxes leave out


def picture(plan: Plan) -> Picture:
    """Choose what is shown of a network."""
    kinds = {layer.kind for _, block in plan.blocks for _, layer in block.main}
    return Picture(
        title=title(plan.spec) if plan.spec.name else "network",
        notes=tuple(_notes(plan)),
        image=plan.inputs.side,
        runs=tuple(_folded(plan)),
        hidden=tuple(name for kind, name in HIDDEN.items() if kind in kinds),
    )


def _notes(plan: Plan) -> Iterator[str]:
    yield f"{plan.depth} layers"
    yield f"{quantity(plan.parameters)} parameters"
    yield f"{quantity(plan.multiply_adds)} multiply-adds"
    spec = plan.spec
    if not isinstance(spec, Spec):
        return
    if spec.order in ORDERS:
        yield ORDERS[spec.order]
    if spec.norm in ("group", "none"):
        yield "group normalization" if spec.norm == "group" else "no normalization"
    if spec.stochastic_depth:
        yield f"stochastic depth {spec.stochastic_depth:g}"


def _folded(plan: Plan) -> Iterator[Run]:
    for piece, alike in groupby(_pieces(plan)):
        count = len(list(alike))
        if piece.unit and count >= FOLDED:
            yield Run(piece, count)
        else:
            yield from [Run(piece)] * count


def _pieces(plan: Plan) -> Iterator[Piece]:
    begun: Counter[int] = Counter()
    for group in plan.groups:
        stage = None
        if group.role == "stage":
            side = _first_side(plan, group)
            stage = (-side, begun[side])
            begun[side] += 1
        for _, block in group.blocks:
            if stage and isinstance(plan.spec, Spec):
                yield _unit(plan.spec, block, stage)
            else:
                yield from _singles(block, stage)


def _first_side(plan: Plan, group: Group) -> int:
    """Side of a unit's output; of a VGG's convolution, as its stages end with the pool."""
    block = group.blocks[0][1]
    return block.outputs.side if isinstance(plan.spec, Spec) else block.main[0][1].outputs.side


def _singles(block: Block, stage: Stage | None) -> Iterator[Piece]:
    for _, layer in block.main:
        if label := _label(layer):
            yield Piece((label,), layer.outputs.side, stage if layer.kind == "convolution" else None)


def _unit(spec: Spec, block: Block, stage: Stage) -> Piece:
    factor, gain = _factors(spec)
    return Piece(
        boxes=tuple(label for _, layer in block.main if (label := _label(layer))),
        side=block.outputs.side,
        stage=stage,
        unit=True,
        shortcut=None if block.shortcut is None else _arc(block.shortcut, factor),
        gain=gain,
        activation=_activation(spec, block.before),
    )


def _arc(chain: Chain, factor: str) -> Shortcut:
    dashed = any(layer.kind in ("convolution", "subsample") for _, layer in chain)
    lines = [line for _, layer in chain for line in _arc_lines(layer)]
    return Shortcut(dashed, "\n".join([*lines, factor] if factor else lines))


def _arc_lines(layer: Layer) -> Iterator[str]:
    if layer.kind == "subsample":
        if layer.stride > 1:
            yield f"subsample, /{layer.stride}"
        if layer.outputs.channels > layer.inputs.channels:
            yield f"zeros to {layer.outputs.channels}"
    elif layer.kind == "dropout":
        yield f"dropout {layer.rate:g}"
    elif label := _label(layer):
        yield label


def _factors(spec: Spec) -> tuple[str, str]:
    """What the shortcut and the residual are multiplied by."""
    if spec.shortcut in GATED:
        return GATE, f"{TIMES} g" if spec.shortcut == "exclusive_gating" else ""
    if spec.shortcut == "scaling":
        return f"{TIMES} {spec.shortcut_scale:g}", f"{TIMES} {spec.residual_scale:g}"
    return "", ""


def _activation(spec: Spec, chain: Chain) -> str:
    norm = "GN" if spec.norm == "group" else "BN"
    names = {"norm": norm, "relu": "ReLU"}
    return ", ".join(names[layer.kind] for _, layer in chain if layer.kind in names)


def _label(layer: Layer) -> str:
    """What a box says; nothing for what is not drawn."""
    stride = f", /{layer.stride}" if layer.stride > 1 else ""
    match layer.kind:
        case "convolution":
            groups = f", {layer.groups} groups" if layer.groups > 1 else ""
            rate = f", rate {layer.dilation}" if layer.dilation > 1 else ""
            return f"{layer.kernel}x{layer.kernel} conv, {layer.outputs.channels}{groups}{rate}{stride}"
        case "max_pool":
            return f"pool{stride}"
        case "average_pool":
            return f"avg pool{stride}"
        case "adaptive_pool" if layer.outputs.side == 1:
            return "avg pool"
        case "adaptive_pool" if layer.outputs.side != layer.inputs.side:
            return f"avg pool to {layer.outputs.side}"
        case "squeeze_excitation":
            return f"squeeze-excitation, {layer.hidden}"
        case "linear":
            return f"fc {layer.outputs.channels}"
        case _:
            return ""
