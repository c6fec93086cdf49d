"""The frozen description of one network: every choice that the papers name is one field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal, Self

from residua.errors import UserError, unknown
from residua.nets.conditions import Condition, Conditions, edited, settle
from residua.nets.values import at_least, check_fields, checked, hints, listed, within

Order = Literal[
    "original", "bn_after_addition", "relu_before_addition", "relu_only_preactivation", "full_preactivation"
]
Shortcut = Literal[
    "identity", "scaling", "exclusive_gating", "shortcut_only_gating", "convolution", "dropout"
]
Norm = Literal["batch", "batch_first_principles", "group", "none"]

EXPANSION = {"basic": 1, "bottleneck": 4}
"""Width of a unit's output over the width of its first convolution in the unwidened network."""


@dataclass(frozen=True, kw_only=True)
class Described:
    """What every description can do: check its own values and be edited field by field."""

    name: str = field(default="", compare=False)
    num_classes: int = 1000
    in_channels: int = 3
    input_size: int = 224

    def __post_init__(self) -> None:
        """Check every value's type and range."""
        check_fields(self)
        for name in ("num_classes", "in_channels", "input_size"):
            at_least(name, getattr(self, name), 1)

    family: ClassVar[str]  # what tells kinds of descriptions apart where they are written down

    def edit(self, /, **changes: Any) -> Self:
        """Return a copy with some fields changed; an unknown field fails with the nearest."""
        if not changes:
            return self
        names = [f.name for f in fields(self)]
        for name in changes:
            if name not in names:
                raise unknown(f"field of {self.name or 'this network'}", name, names)
        changes = {name: checked(name, value, hints(type(self))[name]) for name, value in changes.items()}
        values = edited({name: getattr(self, name) for name in names}, changes, self.conditions)
        if self.name.startswith("cifar_") and values.get("unit") != getattr(self, "unit", None):
            values["name"] = ""  # the name states a depth, which the other unit does not have
        return type(self)(**values)

    def hint(self, field: str) -> Any:
        """Return the type of a field that can be edited; an unknown one fails with the nearest."""
        known = {name: hint for name, hint in hints(type(self)).items() if name != "name"}
        if field not in known:
            raise unknown(f"field of {self.name or 'this network'}", field, known)
        return known[field]

    @property
    def conditions(self) -> Conditions:
        """When a field has a meaning, of those that do not always have one."""
        return {}

    def to_dict(self) -> dict[str, Any]:
        """Return the description as plain data."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Spec(Described):
    """A residual network (or its plain twin).

    A field with default None has a meaning only beside certain values of another (see `CONDITIONAL`):
    elsewhere it stays None, and where it has one, None becomes its usual value. Equal networks therefore
    have equal specs.
    """

    family = "resnet"

    # Stem: "imagenet" 7x7 stride 2 and a pool; "deep" three 3x3 and a pool; "cifar" one 3x3, no pool.
    stem: Literal["imagenet", "cifar", "deep"] = "imagenet"
    stem_width: int = 64
    # How the stem's pool fills its border: with nothing, with zeros, or as TensorFlow's "SAME" does.
    stem_pool: Literal["max", "max_zero_padded", "max_same"] | None = None

    # Stages.
    unit: Literal["basic", "bottleneck"] = "basic"
    units: tuple[int, ...] = (2, 2, 2, 2)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    width: float = 1.0  # Wide ResNet's factor: widens the 3x3 convolutions
    groups: int | None = None  # of a bottleneck's 3x3 convolution
    stride_place: Literal["3x3", "1x1"] | None = None  # where a bottleneck strides
    stride_unit: Literal["first", "last"] = "first"  # which unit of a stage strides
    output_stride: int | None = None  # later strides become dilation

    # Order of convolution, normalization and activation around the addition.
    order: Order = "original"
    first_activation: Literal["stem", "unit"] | None = None  # before the stem's pool, or in the first unit
    shared_activation: Literal["stage", "projection"] | None = None  # which shortcuts carry the activated x

    # Shortcut.
    residual: bool = True
    shortcut: Shortcut | None = None
    projection: Literal["A", "B", "C"] | None = None
    projection_pool: bool | None = None  # average-pool before the projection instead of striding it
    zero_channels: Literal["behind", "around"] | None = None  # where option A puts the new channels
    shortcut_scale: float | None = None
    residual_scale: float | None = None
    gate_bias: float | None = None
    dropout_rate: float | None = None

    # Parts.
    norm: Norm = "batch"
    norm_eps: float | None = None
    norm_momentum: float | Literal["exact"] | None = None  # "exact": running statistics are true averages
    norm_groups: int | None = None
    bias: Literal["none", "unnormalized", "all"] = "none"  # which convolutions have one
    squeeze_excitation: int | None = None  # reduction
    stochastic_depth: float = 0.0  # probability that the last unit is dropped; grows linearly with depth
    zero_init_residual: bool = False

    def __post_init__(self) -> None:
        """Settle the conditional fields and reject combinations that mean nothing."""
        super().__post_init__()
        settle(self, CONDITIONAL)
        _check_numbers(self)
        _check_combinations(self)

    @property
    def conditions(self) -> Conditions:
        """When a field has a meaning, of those that do not always have one."""
        return CONDITIONAL

    @property
    def preactivated(self) -> bool:
        """Whether the activation comes before the convolutions."""
        return is_preactivated(self.order)

    @property
    def stem_stride(self) -> int:
        """How much smaller the first stage's input is than the image."""
        return 1 if self.stem == "cifar" else 4


def groups_of(spec: Spec, channels: int) -> int:
    """How many groups a group norm of so many channels has: as many as asked for, if they divide."""
    return math.gcd(channels, spec.norm_groups or 1)


def is_preactivated(order: str) -> bool:
    """Whether an order activates before the convolutions."""
    return order.endswith("preactivation")


MOST_UNITS = 100_000
MOST_STAGES = 32

GATED = ("exclusive_gating", "shortcut_only_gating")
SCALED = (*GATED, "scaling")
BATCH_NORMS = ("batch", "batch_first_principles")

CONDITIONAL: Conditions = {
    "stem_pool": Condition(lambda s: s.stem != "cifar", "stem='imagenet' or 'deep'", "max"),
    "groups": Condition(lambda s: s.unit == "bottleneck", "unit='bottleneck'", 1),
    "stride_place": Condition(lambda s: s.unit == "bottleneck", "unit='bottleneck'", "3x3"),
    "first_activation": Condition(lambda s: is_preactivated(s.order), "a pre-activation order", "stem"),
    "shortcut": Condition(lambda s: s.residual, "residual=True", "identity"),
    "shared_activation": Condition(
        lambda s: s.residual and is_preactivated(s.order), "a pre-activation order and residual=True", "stage"
    ),
    "projection": Condition(
        lambda s: s.residual and s.shortcut != "convolution",
        "residual=True and a shortcut that is not already a convolution",
        "B",
    ),
    "projection_pool": Condition(
        lambda s: s.residual and s.projection != "A", "projection='B' or 'C'", False
    ),
    "zero_channels": Condition(lambda s: s.projection == "A", "projection='A'", "behind"),
    "shortcut_scale": Condition(lambda s: s.shortcut == "scaling", "shortcut='scaling'", 0.5),
    "residual_scale": Condition(lambda s: s.shortcut == "scaling", "shortcut='scaling'", 0.5),
    "gate_bias": Condition(lambda s: s.shortcut in GATED, f"shortcut={' or '.join(map(repr, GATED))}", -6.0),
    "dropout_rate": Condition(lambda s: s.shortcut == "dropout", "shortcut='dropout'", 0.5),
    "norm_eps": Condition(lambda s: s.norm != "none", "a norm", 1e-5),
    "norm_momentum": Condition(lambda s: s.norm in BATCH_NORMS, "a batch norm", 0.1),
    "norm_groups": Condition(lambda s: s.norm == "group", "norm='group'", 32),
}


@dataclass(frozen=True, kw_only=True)
class VggSpec(Described):
    """A VGG network, the papers' baseline without shortcuts."""

    family = "vgg"

    convolutions: tuple[int, ...] = (2, 2, 4, 4, 4)
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    hidden: int = 4096
    norm: Literal["batch", "none"] = "none"
    dropout_rate: float = 0.5

    def __post_init__(self) -> None:
        """Reject what cannot be built."""
        super().__post_init__()
        _check_stages("convolutions", self.convolutions, self.widths)
        _check_count("convolutions", self.convolutions)
        at_least("hidden", self.hidden, 1)
        within("dropout_rate", self.dropout_rate, 0, 1)


AnySpec = Spec | VggSpec
FAMILIES: Mapping[str, type[AnySpec]] = {kind.family: kind for kind in (Spec, VggSpec)}


def _check_count(name: str, counts: tuple[int, ...]) -> None:
    if sum(counts) > MOST_UNITS:
        raise UserError(f"{name}={counts} is not valid: more than {MOST_UNITS:,} {name} are not built.")


def _check_numbers(spec: Spec) -> None:
    _check_stages("units", spec.units, spec.widths)
    _check_count("units", spec.units)
    within("width", spec.width, 0, 1000)
    for name in ("stem_width", "groups", "norm_groups", "squeeze_excitation"):
        at_least(name, getattr(spec, name), 1)
    within("stochastic_depth", spec.stochastic_depth, 0, 1)
    within("dropout_rate", spec.dropout_rate, 0, 1)
    if isinstance(spec.norm_momentum, float):
        within("norm_momentum", spec.norm_momentum, 0, 1, closed=True)
    if spec.norm_eps is not None and spec.norm_eps <= 0:
        raise UserError(f"norm_eps={spec.norm_eps!r} is not valid: it must be above 0.")


def _check_combinations(spec: Spec) -> None:
    for width in spec.widths:
        inner = width * spec.width
        if inner < 1 or inner != int(inner):
            raise UserError(
                f"width={spec.width:g} is not valid: it makes {width} channels {inner:g}, "
                "and every stage needs a whole number of at least 1."
            )
        if spec.groups and inner % spec.groups:
            raise UserError(
                f"groups={spec.groups} is not valid: it must divide the widths of the 3x3 convolutions, "
                f"and one of them is {inner:g}."
            )
    if spec.zero_init_residual and spec.order == "relu_before_addition":
        raise UserError(
            "zero_init_residual=True is not valid with order='relu_before_addition': a residual that is "
            "zero behind a ReLU gets no gradient and stays zero; use another order."
        )
    for name in ("stochastic_depth", "zero_init_residual"):
        value = getattr(spec, name)
        if value and not spec.residual:
            raise UserError(
                f"{name}={value} is not valid with residual=False: without a shortcut nothing would be left."
            )
    if spec.projection == "A":
        channels = [spec.stem_width, *(output_width(spec, stage) for stage in range(len(spec.units)))]
        if channels != sorted(channels):
            raise UserError("projection='A' cannot take channels away; use 'B' where a stage is narrower.")
    strides = [spec.stem_stride * 2**stage for stage in range(len(spec.units))]
    if spec.output_stride is not None and spec.output_stride not in strides:
        raise UserError(f"output_stride={spec.output_stride} is not valid: valid are {listed(strides)}.")


def inner_width(spec: Spec, stage: int) -> int:
    """Width of the 3x3 convolutions of a stage."""
    return int(spec.widths[stage] * spec.width)


def output_width(spec: Spec, stage: int) -> int:
    """Channels that a stage passes on."""
    return inner_width(spec, stage) if spec.unit == "basic" else spec.widths[stage] * EXPANSION[spec.unit]


def _check_stages(name: str, counts: tuple[int, ...], widths: tuple[int, ...]) -> None:
    if not counts or len(counts) != len(widths):
        raise UserError(
            f"{name}={counts} is not valid with widths={widths}: both need one number for each stage."
        )
    if len(counts) > MOST_STAGES:
        raise UserError(
            f"{len(counts):,} stages are not built: more than {MOST_STAGES} halve nothing any more."
        )
    for label, numbers in ((name, counts), ("widths", widths)):
        for number in numbers:
            at_least(label, number, 1)
