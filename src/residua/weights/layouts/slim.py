"""The layout of TF-Slim: paths of variable scopes, HWIO kernels, a 1x1 convolution as classifier."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from residua.errors import UserError
from residua.nets.plan import Plan
from residua.nets.spec import AnySpec, Spec
from residua.weights.layouts.base import HWIO, POINTWISE_HWIO, Layout, Part, Tensors
from residua.weights.metadata import Metadata
from residua.weights.tensorflow import write_npz


class Slim(Layout):
    """TF-Slim's resnet_v1 and resnet_v2: read from a checkpoint or an `.npz`, written as an `.npz`."""

    name = "slim"
    members = ("slim_resnet_v1_*", "slim_resnet_v2_*")
    separator = "/"
    parts: ClassVar[Mapping[str, Mapping[str, Part]]] = {
        "convolution": {"weight": Part("weights", HWIO), "bias": Part("biases")},
        "linear": {"weight": Part("weights", POINTWISE_HWIO), "bias": Part("biases")},
        "norm": {
            "weight": Part("gamma"),
            "bias": Part("beta"),
            "running_mean": Part("moving_mean"),
            "running_var": Part("moving_variance"),
        },
    }

    def layer_name(self, ours: str, plan: Plan) -> str:
        """Blocks and units count from 1, and a norm lies in the scope of the convolution before it."""
        version = 2 if isinstance(plan.spec, Spec) and plan.spec.preactivated else 1
        scope = f"resnet_v{version}_{plan.depth}"
        fixed = {"conv1": "conv1", "bn1": "conv1/BatchNorm", "bn_last": "postnorm", "fc": "logits"}
        if ours in fixed:
            return f"{scope}/{fixed[ours]}"
        stage, index, kind, number = re.fullmatch(  # type: ignore[union-attr]
            r"layer(\d+)\.(\d+)\.(\D+)(\d)", ours
        ).groups()
        unit = f"{scope}/block{stage}/unit_{int(index) + 1}/bottleneck_v{version}"
        if kind == "downsample.":
            return f"{unit}/shortcut" + ("/BatchNorm" if number == "1" else "")
        if kind == "conv":
            return f"{unit}/conv{number}"
        before = int(number) - (version - 1)  # a pre-activation unit begins with a norm
        return f"{unit}/conv{before}/BatchNorm" if before else f"{unit}/preact"

    def candidates(self, tensors: Tensors, config: Any = None) -> Iterator[AnySpec]:
        """The outermost scope has the network's name."""
        del config
        scopes = {name.partition("/")[0] for name in tensors}
        for name in self.names():
            if name.removeprefix("slim_") in scopes:
                yield self.fitted(self.base(name), tensors)

    def store(self, path: Path, tensors: dict[str, Tensor], metadata: Metadata) -> None:
        """As arrays by name: TensorFlow alone writes its checkpoints."""
        del metadata
        if path.suffix.lower() != ".npz":
            raise UserError(f"{path} cannot be written: weights for TF-Slim are written as .npz.")
        write_npz(path, tensors)
