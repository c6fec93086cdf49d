"""Layouts that PyTorch libraries use: torchvision, timm, akamaster's CIFAR nets, and our own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from torch import Tensor

from residua.nets.plan import Plan
from residua.nets.spec import AnySpec
from residua.nets.zoo import spec
from residua.weights.layouts.base import POINTWISE, TORCH_PARTS, Layout, Part, Tensors


class OurNames(Layout):
    """What calls layers as we do."""

    def layer_name(self, ours: str, plan: Plan) -> str:
        """Ours are ours."""
        del plan
        return ours


class Own(OurNames):
    """A plain state dict of ours; which network it is, the file does not say."""

    name = "residua"
    members: ClassVar[tuple[str, ...]] = ("*",)

    def expresses(self, network: AnySpec) -> bool:
        """Whatever it is."""
        del network
        return True


class Torchvision(OurNames):
    """torchvision's ResNet, ResNeXt, wide ResNet and VGG: our own names."""

    name = "torchvision"
    members = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext*", "wide_*", "vgg*")


class Timm(OurNames):
    """timm's ResNets of v1: our own names too."""

    name = "timm"
    members = ("resnet[0-9][0-9]", "resnet[0-9][0-9][0-9]", "resnet50d", "seresnet50", "resnext*", "wide_*")


class TimmV2(Layout):
    """timm's pre-activation networks with batch norm."""

    name = "timm-v2"
    members = ("resnetv2_*",)
    parts: ClassVar[Mapping[str, Mapping[str, Part]]] = {
        **TORCH_PARTS,
        "linear": {"weight": Part("weight", POINTWISE), "bias": Part("bias")},
    }

    def layer_name(self, ours: str, plan: Plan) -> str:
        """Stages and blocks count from 0 and 0, the head is a 1x1 convolution."""
        del plan
        fixed = {"conv1": "stem.conv", "bn_last": "norm", "fc": "head.fc"}
        if ours in fixed:
            return fixed[ours]
        stage, index, rest = re.fullmatch(r"layer(\d+)\.(\d+)\.(.+)", ours).groups()  # type: ignore[union-attr]
        part = "downsample.conv" if rest == "downsample.0" else rest.replace("bn", "norm")
        return f"stages.{int(stage) - 1}.blocks.{index}.{part}"


class Akamaster(Layout):
    """akamaster/pytorch_resnet_cifar10: the classifier is `linear`, option A has zeros on both sides."""

    name = "akamaster"
    members = ("cifar_resnet*",)
    suffixes = (".th", ".pth", ".safetensors")

    def layer_name(self, ours: str, plan: Plan) -> str:
        """Only the classifier differs."""
        del plan
        return "linear" if ours == "fc" else ours

    def base(self, name: str) -> AnySpec:
        """Zeros on both sides."""
        return spec(name, unit="basic", zero_channels="around")

    def candidates(self, tensors: Tensors, config: Any = None) -> Iterator[AnySpec]:
        """The depth follows from the number of units."""
        del config
        units = {name.rpartition(".conv")[0] for name in tensors if ".conv1." in name}
        if units and len(units) % 3 == 0:
            yield self.fitted(self.base(f"cifar_resnet{2 * len(units) + 2}"), tensors)

    def names_like(self, network: AnySpec) -> list[str]:
        """The one member with as many units."""
        count = sum(getattr(network, "units", ()))
        return [f"cifar_resnet{2 * count + 2}"] if count and count % 3 == 0 else []

    def checkpoint(self, tensors: dict[str, Tensor]) -> dict[str, Any]:
        """As its training script saves them."""
        return {"state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()}}
