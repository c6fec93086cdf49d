"""The layout of Keras Applications' ResNets, v1 and V2."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from residua.nets.plan import Plan
from residua.weights import hdf5
from residua.weights.layouts.base import HWIO, TRANSPOSED, Layout, Part, Row
from residua.weights.metadata import Metadata

OUTSIDE = {"conv1": "conv1_conv", "bn1": "conv1_bn", "bn_last": "post_bn", "fc": "predictions"}
STEPS = {"preact": 0, "1": 1, "2": 2, "0": 3, "3": 3}  # within a unit, in the order of Keras' layers
END = 1_000_000


class Keras(Layout):
    """Files that name their layers."""

    name = "keras"
    members: ClassVar[tuple[str, ...]] = ("keras_resnet*",)
    separator = "/"
    parts: ClassVar[Mapping[str, Mapping[str, Part]]] = {
        "convolution": {"weight": Part("kernel", HWIO), "bias": Part("bias")},
        "linear": {"weight": Part("kernel", TRANSPOSED), "bias": Part("bias")},
        "norm": {
            "weight": Part("gamma"),
            "bias": Part("beta"),
            "running_mean": Part("moving_mean"),
            "running_var": Part("moving_variance"),
        },
    }

    def layer_name(self, ours: str, plan: Plan) -> str:
        """Number a unit's norms as the convolutions before them; in V2 its first norm has none before it."""
        unit = re.fullmatch(r"layer(\d+)\.(\d+)\.(conv|bn|downsample\.)(\d)", ours)
        if not unit:
            return OUTSIDE.get(ours, ours)
        stage, index, kind, number = unit[1], unit[2], unit[3], int(unit[4])
        if kind == "downsample.":
            part = "0_bn" if number else "0_conv"
        elif kind == "bn" and getattr(plan.spec, "preactivated", False):
            part = f"{number - 1}_bn" if number > 1 else "preact_bn"
        else:
            part = f"{number}_{kind}"
        return f"conv{int(stage) + 1}_block{int(index) + 1}_{part}"

    def rows(self, plan: Plan) -> Iterator[Row]:
        """All tensors in the order of Keras' layers, by which Keras finds them in a file."""
        yield from sorted(super().rows(plan), key=lambda row: _place(row.theirs))

    def store(self, path: Path, tensors: dict[str, Tensor], metadata: Metadata) -> None:
        """As Keras' `save_weights` does."""
        del metadata
        hdf5.write(path, tensors)


class KerasCounted(Keras):
    """Files of Keras 2.13 to 3.5, which only count the layers of each class ("conv2d_12")."""

    name = "keras-counted"

    def rows(self, plan: Plan) -> Iterator[Row]:
        """All tensors, with each layer's class and number for its name."""
        rows = list(super().rows(plan))
        groups = hdf5.groups({row.theirs: row.their_shape for row in rows})
        for row in rows:
            layer, _, variable = row.theirs.rpartition("/")
            yield row._replace(theirs=f"{groups[layer]}/{variable}")


def _place(name: str) -> tuple[int, int, int, bool]:
    """Where Keras has a layer, which sorts by the distance from the output.

    A projection is therefore not in front of its unit, but beside the convolution that it is added to.
    """
    unit = re.match(r"conv(\d+)_block(\d+)_(\w+?)_(conv|bn)/", name)
    if not unit:
        return 0 if name.startswith("conv1_") else END, 0, 0, False
    return int(unit[1]), int(unit[2]), STEPS[unit[3]], unit[4] == "bn"
