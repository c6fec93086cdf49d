"""What a plan amounts to, as plain data: the papers' Table 1 column and the totals."""

from __future__ import annotations

from typing import Any

from residua.nets.layers import Block, Group, Layer
from residua.nets.memory import memory, receptive_field
from residua.nets.plan import Plan
from residua.nets.zoo import changes, note


def describe(plan: Plan) -> dict[str, Any]:
    """Return everything that `residua describe --json` prints."""
    bytes_needed = memory(plan)
    return {
        **summary(plan),
        "changes": changes(plan.spec),
        "activation_bytes": {"training": bytes_needed.training, "inference": bytes_needed.inference},
        "receptive_field": receptive_field(plan),
        "note": note(plan.spec),
        "groups": [_group(group) for group in plan.groups],
        "spec": plan.spec.to_dict(),
    }


def summary(plan: Plan) -> dict[str, Any]:
    """Return the line of `residua models` for one network."""
    return {
        "name": plan.spec.name,
        "depth": plan.depth,
        "parameters": plan.parameters,
        "multiply_adds": plan.multiply_adds,
        "input_size": plan.inputs.side,
    }


def _group(group: Group) -> dict[str, Any]:
    layers, count, rest = group_layers(group)
    return {
        "name": group.name,
        "output_size": group.outputs.side,
        "channels": group.outputs.channels,
        "units": count,
        "layers": layers,
        "rest": rest,
        "parameters": group.parameters,
        "multiply_adds": group.multiply_adds,
    }


def group_layers(group: Group) -> tuple[list[str], int, list[str]]:
    """Return what one unit of a group is made of ("3x3, 64"), how many there are, and what else it has.

    Which unit strides is left out, as in the papers; the side of the output says that one does.
    """
    if group.role != "stage":
        return [], 0, _labels(*(block for _, block in group.blocks))
    rest = [block for _, block in group.blocks if not block.depth]
    unit = [text for _, layer in group.units[-1].main if (text := layer_label(layer, stride=False))]
    return unit, len(group.units), _labels(*rest)


def _labels(*blocks: Block) -> list[str]:
    return [text for block in blocks for _, layer in block.main if (text := layer_label(layer))]


def layer_label(layer: Layer, stride: bool = True) -> str | None:
    """Short text for what the papers' tables show; None for what they leave out."""
    channels = layer.outputs.channels
    match layer.kind:
        case "convolution":
            groups = f", {layer.groups} groups" if layer.groups > 1 else ""
            rate = f", rate {layer.dilation}" if layer.dilation > 1 else ""
            step = f", stride {layer.stride}" if layer.stride > 1 and stride else ""
            return f"{layer.kernel}x{layer.kernel}, {channels}{groups}{rate}{step}"
        case "max_pool":
            return f"{layer.kernel}x{layer.kernel} max pool, stride {layer.stride}"
        case "adaptive_pool":
            return "average pool"
        case "linear":
            return f"{channels}-d linear"
        case _:
            return None


def quantity(number: int, sign: str = "") -> str:
    """Three digits with a unit, as in "25.6 M"; with sign "+" also the sign of what is positive."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= 0.9995 * unit:
            value = float(f"{number / unit:.2e}")
            return f"{value:{sign}.{max(0, 3 - len(str(int(abs(value)))))}f} {letter}"
    return f"{number:{sign}d}"
