"""The zoo: a name for every network of the papers, each a row of data."""

from __future__ import annotations

import re
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any, Literal, overload

from residua.errors import UserError, unknown
from residua.nets.expansion import CONVOLUTIONS
from residua.nets.spec import AnySpec, Spec, VggSpec
from residua.nets.values import checked

Row = dict[str, Any]

UNITS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}


def _imagenet(depth: int, **fields: Any) -> Row:
    return {"unit": "basic" if depth < 50 else "bottleneck", "units": UNITS[depth], **fields}


PAPER_V1: Row = {"stride_place": "1x1"}
PREACTIVATED: Row = {"order": "full_preactivation"}
TIMM_V2: Row = {**PREACTIVATED, "first_activation": "unit", "shared_activation": "projection"}
SLIM_V1: Row = {"stride_unit": "last", "stem_pool": "max_same", "norm_momentum": 0.003}
SLIM_V2: Row = {**SLIM_V1, **TIMM_V2, "bias": "unnormalized", "num_classes": 1001}
KERAS: Row = {"stem_pool": "max_zero_padded", "norm_eps": 1.001e-5, "norm_momentum": 0.01}
KERAS_V1: Row = {**KERAS, "stride_place": "1x1", "bias": "all"}
KERAS_V2: Row = {**KERAS, **TIMM_V2, "stride_unit": "last", "bias": "unnormalized"}

IMAGENET: dict[str, Row] = {
    **{f"resnet{depth}": _imagenet(depth) for depth in UNITS},
    **{f"resnet{depth}_v1": _imagenet(depth, **PAPER_V1) for depth in (50, 101, 152)},
    **{f"plain{depth}": _imagenet(depth, residual=False) for depth in (18, 34)},
    **{f"preresnet{depth}": _imagenet(depth, **PREACTIVATED) for depth in UNITS},
    "resnext50_32x4d": _imagenet(50, groups=32, width=2),
    "resnext101_32x8d": _imagenet(101, groups=32, width=4),
    "resnext101_64x4d": _imagenet(101, groups=64, width=4),
    "wide_resnet50_2": _imagenet(50, width=2),
    "wide_resnet101_2": _imagenet(101, width=2),
    "seresnet50": _imagenet(50, squeeze_excitation=16),
    "resnet50d": _imagenet(50, stem="deep", projection_pool=True),
    **{f"resnetv2_{depth}": _imagenet(depth, **TIMM_V2) for depth in (18, 34, 50, 101, 152)},
    **{f"slim_resnet_v1_{depth}": _imagenet(depth, **SLIM_V1) for depth in (50, 101, 152, 200)},
    **{f"slim_resnet_v2_{depth}": _imagenet(depth, **SLIM_V2) for depth in (50, 101, 152, 200)},
    **{f"keras_resnet{depth}": _imagenet(depth, **KERAS_V1) for depth in (50, 101, 152)},
    **{f"keras_resnet{depth}v2": _imagenet(depth, **KERAS_V2) for depth in (50, 101, 152)},
}

VGG: dict[str, Row] = {
    "vgg16": {"convolutions": (2, 2, 3, 3, 3)},
    "vgg16_bn": {"convolutions": (2, 2, 3, 3, 3), "norm": "batch"},
    "vgg19": {"convolutions": (2, 2, 4, 4, 4)},
    "vgg19_bn": {"convolutions": (2, 2, 4, 4, 4), "norm": "batch"},
}

CIFAR_INPUT: Row = {"num_classes": 10, "input_size": 32, "stem": "cifar", "stem_width": 16}

CIFAR_FAMILIES: dict[str, Row] = {
    "cifar_resnet": {},
    "cifar_plain": {"residual": False},
    "cifar_preresnet": PREACTIVATED,
    "cifar_highway": {"shortcut": "exclusive_gating"},
}

CIFAR_LISTED: dict[str, tuple[int, ...]] = {
    "cifar_resnet": (20, 32, 44, 56, 110, 164, 1001, 1202),
    "cifar_plain": (20, 32, 44, 56, 110),
    "cifar_preresnet": (20, 32, 44, 56, 110, 164, 1001),
    "cifar_highway": (20, 32, 44, 56, 110),
}

TINY: dict[str, Row] = {
    "tiny_resnet": CIFAR_INPUT | {"units": (1, 1), "widths": (4, 8), "stem_width": 4, "input_size": 8},
}

ROWS = IMAGENET | VGG | TINY

NUMBER = "[1-9][0-9]{0,3}"
DEEPEST = 9999

NAMES: tuple[str, ...] = (
    *IMAGENET,
    *VGG,
    *(f"{family}{depth}" for family, depths in CIFAR_LISTED.items() for depth in depths),
    "cifar_wrn28_10",
    *TINY,
)


VggName = Literal["vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]


@overload
def spec(name: VggName | VggSpec, /, **changes: Any) -> VggSpec: ...


@overload
def spec(name: str | Spec, /, **changes: Any) -> Spec: ...


@overload
def spec(name: str | AnySpec, /, **changes: Any) -> AnySpec: ...


def spec(name: str | AnySpec, /, **changes: Any) -> AnySpec:
    """Look up a network by name (any valid CIFAR depth works) and change fields of it.

    >>> spec("resnet50", num_classes=10).num_classes
    10
    """
    if isinstance(name, (Spec, VggSpec)):
        return name.edit(**changes)
    if not isinstance(name, str):
        raise UserError(f"a network is a name or a spec, not {name!r}.")
    if name in ROWS:
        row = ROWS[name]
    elif wide := re.fullmatch(rf"cifar_wrn({NUMBER})_({NUMBER})", name):
        row = _wide_row(name, int(wide[1]), int(wide[2]))
    elif cifar := re.fullmatch(rf"({'|'.join(CIFAR_FAMILIES)})({NUMBER})", name):
        row = _cifar_row(cifar[1], int(cifar[2]), changes.get("unit"))
    else:
        raise unknown("network", name, NAMES)
    kind = VggSpec if "convolutions" in row else Spec
    return kind(name=name, **row).edit(**changes)


def list_models(pattern: str = "*") -> list[str]:
    """Names of the listed networks that match a pattern such as "resnet*", or contain a plain word."""
    glob = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    return [name for name in NAMES if fnmatchcase(name, glob)]


def changes(network: AnySpec) -> dict[str, Any]:
    """The edits that make a network of the zoo's member whose name it has (or of the defaults)."""
    base = _namesake(network)
    edits = {
        field: value
        for field, value in network.to_dict().items()
        if field != "name" and value != getattr(base, field)
    }
    for field in list(edits):  # what follows from another edit needs no saying
        fewer = {name: value for name, value in edits.items() if name != field}
        with suppress(UserError):
            if base.edit(**fewer) == network:
                edits = fewer
    if base.name and isinstance(base, Spec) and base.unit != getattr(spec(base.name), "unit", None):
        edits["unit"] = base.unit  # it decides how many units a CIFAR name means
    return edits


def has_own_name(network: AnySpec) -> bool:
    """Whether a network's name is its maker's, and none of the zoo's."""
    return bool(network.name) and not _namesake(network).name


def _namesake(network: AnySpec) -> AnySpec:
    try:
        if network.name.startswith("cifar_") and isinstance(network, Spec):
            return spec(network.name, unit=network.unit)
        found = spec(network.name)
    except UserError:
        return type(network)()
    return found if type(found) is type(network) else type(network)()


def title(network: AnySpec) -> str:
    """The network's name with what was changed: "resnet50 num_classes=10"."""
    if has_own_name(network):
        return network.name
    return " ".join([network.name or "network", *(f"{k}={_text(v)}" for k, v in changes(network).items())])


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else f"{value}"


def note(network: AnySpec) -> str | None:
    """What a reader of this network's numbers should know."""
    if network.name.startswith("cifar_wrn"):
        return (
            "the number in the name is the Wide ResNet authors' count, which adds three projections and "
            "leaves out the classifier; the papers' rule counts the main path with the classifier"
        )
    return None


def _cifar_row(family: str, depth: int, unit: Any) -> Row:
    """Three stages of n units: depth 6n+2 with basic units, 9n+2 with bottlenecks."""
    if unit is None:
        unit = "bottleneck" if depth == 164 or (_units(depth, "basic") is None) else "basic"
        kinds = list(CONVOLUTIONS)
    else:
        checked("unit", unit, Literal["basic", "bottleneck"])
        kinds = [unit]
    count = _units(depth, unit)
    if count is None:
        near = range(max(8, depth - 9), min(max(depth, 8) + 10, DEEPEST + 1))
        valid = [d for d in near if any(_units(d, kind) for kind in kinds)]
        nearest = sorted(sorted(valid, key=lambda d: abs(d - depth))[:2])
        rule = " or ".join(f"{3 * CONVOLUTIONS[kind]}n+2 ({kind} units)" for kind in kinds)
        raise UserError(
            f"{family}{depth} does not exist: the depth must be {rule}; "
            f"the nearest are {' and '.join(f'{family}{d}' for d in nearest)}."
        )
    row = CIFAR_INPUT | CIFAR_FAMILIES[family] | _three_stages(count) | {"unit": unit}
    if unit == "bottleneck":
        return row | {"stride_place": "1x1"}
    return row if row.get("residual") is False else row | {"projection": "A"}


def _wide_row(name: str, depth: int, width: int) -> Row:
    """Wide ResNets: n basic pre-activation units a stage, named by 6n+4."""
    count, rest = divmod(depth - 4, 6)
    if rest or count < 1:
        lower = max(10, min(6 * count + 4, DEEPEST - 11))
        raise UserError(
            f"{name} does not exist: the depth must be 6n+4; "
            f"the nearest are cifar_wrn{lower}_{width} and cifar_wrn{lower + 6}_{width}."
        )
    return CIFAR_INPUT | PREACTIVATED | _three_stages(count) | {"width": width}


def _three_stages(count: int) -> Row:
    return {"units": (count,) * 3, "widths": (16, 32, 64)}


def _units(depth: int, unit: str) -> int | None:
    """Units in each of three stages, if the depth allows a whole number of them."""
    count, rest = divmod(depth - 2, 3 * CONVOLUTIONS[unit])
    return count if count > 0 and not rest else None
