"""Networks written down once more, straight from their authors' definitions and without residua's parts.

TF-Slim's `resnet_v1.py` and `resnet_v2.py`, timm's `resnetv2.py` with batch norm, fb.resnet.torch's
`preresnet.lua` and akamaster's CIFAR networks: each is one function of an image over named weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from residua import Network, plan, spec

from .comparing import (
    EVALUATION,
    TRAINING,
    Model,
    Tensors,
    case,
    copy,
    outcome,
    residuas,
    same,
    without_effect,
)

NARROW: dict[str, Any] = {"widths": (4, 8, 16, 32), "stem_width": 4, "num_classes": 5}
NARROW_CIFAR = {"widths": (4, 8, 16), "stem_width": 4}
UNITS_18, UNITS_50 = (2, 2, 2, 2), (3, 4, 6, 3)


@dataclass(frozen=True)
class Weights:
    """Weights by name, and the two layers that use them."""

    tensors: Tensors
    momentum: float
    training: bool

    def conv(self, name: str, x: Tensor, stride: int = 1, padding: int = 0, rate: int = 1) -> Tensor:
        weight, bias = self.tensors[f"{name}.weight"], self.tensors.get(f"{name}.bias")
        return F.conv2d(x, weight, bias, stride, padding, rate)

    def norm(self, name: str, x: Tensor) -> Tensor:
        names = [f"{name}.{kind}" for kind in ("running_mean", "running_var", "weight", "bias")]
        mean, var, gamma, beta = (self.tensors[key] for key in names)
        return F.batch_norm(x, mean, var, gamma, beta, self.training, self.momentum, 1e-5)

    def norm_relu(self, name: str, x: Tensor) -> Tensor:
        return F.relu(self.norm(name, x))

    def head(self, x: Tensor) -> Tensor:
        return F.linear(x.mean((2, 3)), self.tensors["fc.weight"], self.tensors["fc.bias"])

    def channels(self, name: str) -> int:
        """Channels that come out of a convolution."""
        return self.tensors[f"{name}.weight"].shape[0]


Definition = Callable[[Weights, Tensor], Tensor]


def unit_names(counts: tuple[int, ...]) -> Iterator[tuple[int, int, str]]:
    for stage, count in enumerate(counts, 1):
        for index in range(count):
            yield stage, index, f"layer{stage}.{index}"


# TF-Slim


def conv2d_same(w: Weights, name: str, x: Tensor, kernel: int, stride: int, rate: int = 1) -> Tensor:
    if stride == 1:
        return w.conv(name, x, padding=rate * (kernel // 2), rate=rate)
    effective = kernel + (kernel - 1) * (rate - 1)
    before = (effective - 1) // 2
    behind = effective - 1 - before
    return w.conv(name, F.pad(x, (before, behind, before, behind)), stride, rate=rate)


def max_pool_same(x: Tensor) -> Tensor:
    side = x.shape[-1]
    jut = max((-(-side // 2) - 1) * 2 + 3 - side, 0)
    before, behind = jut // 2, jut - jut // 2
    return F.max_pool2d(F.pad(x, (before, behind, before, behind), value=-torch.inf), 3, 2)


def subsample(x: Tensor, factor: int) -> Tensor:
    return x if factor == 1 else F.max_pool2d(x, 1, factor)


def slim_bottleneck_v1(w: Weights, name: str, x: Tensor, stride: int, rate: int) -> Tensor:
    if w.channels(f"{name}.conv3") == x.shape[1]:
        shortcut = subsample(x, stride)
    else:
        shortcut = w.norm(f"{name}.downsample.1", w.conv(f"{name}.downsample.0", x, stride))
    residual = w.norm_relu(f"{name}.bn1", w.conv(f"{name}.conv1", x))
    residual = w.norm_relu(f"{name}.bn2", conv2d_same(w, f"{name}.conv2", residual, 3, stride, rate))
    return F.relu(shortcut + w.norm(f"{name}.bn3", w.conv(f"{name}.conv3", residual)))


def slim_bottleneck_v2(w: Weights, name: str, x: Tensor, stride: int, rate: int) -> Tensor:
    preact = w.norm_relu(f"{name}.bn1", x)
    if w.channels(f"{name}.conv3") == x.shape[1]:
        shortcut = subsample(x, stride)
    else:
        shortcut = w.conv(f"{name}.downsample.0", preact, stride)
    residual = w.norm_relu(f"{name}.bn2", w.conv(f"{name}.conv1", preact))
    residual = w.norm_relu(f"{name}.bn3", conv2d_same(w, f"{name}.conv2", residual, 3, stride, rate))
    return shortcut + w.conv(f"{name}.conv3", residual)


def slim(version: int, counts: tuple[int, ...], output_stride: int | None = None) -> Definition:
    unit = slim_bottleneck_v1 if version == 1 else slim_bottleneck_v2

    def forward(w: Weights, x: Tensor) -> Tensor:
        x = conv2d_same(w, "conv1", x, 7, 2)
        x = max_pool_same(w.norm_relu("bn1", x) if version == 1 else x)
        current, rate = 4, 1
        for block, index, name in unit_names(counts):
            stride = 2 if block < len(counts) and index == counts[block - 1] - 1 else 1
            if current == output_stride:
                x = unit(w, name, x, 1, rate)
                rate *= stride
            else:
                x = unit(w, name, x, stride, 1)
                current *= stride
        return w.head(x if version == 1 else w.norm_relu("bn_last", x))

    return forward


# timm


def timm_v2(basic: bool, counts: tuple[int, ...]) -> Definition:
    def unit(w: Weights, name: str, x: Tensor, stride: int, projects: bool) -> Tensor:
        preact = w.norm_relu(f"{name}.bn1", x)
        shortcut = w.conv(f"{name}.downsample.0", preact, stride) if projects else x
        if basic:
            residual = w.conv(f"{name}.conv1", preact, stride, 1)
            return w.conv(f"{name}.conv2", w.norm_relu(f"{name}.bn2", residual), 1, 1) + shortcut
        residual = w.norm_relu(f"{name}.bn2", w.conv(f"{name}.conv1", preact))
        residual = w.norm_relu(f"{name}.bn3", w.conv(f"{name}.conv2", residual, stride, 1))
        return w.conv(f"{name}.conv3", residual) + shortcut

    def forward(w: Weights, x: Tensor) -> Tensor:
        x = F.max_pool2d(w.conv("conv1", x, 2, 3), 3, 2, 1)
        for stage, index, name in unit_names(counts):
            stride = 2 if stage > 1 and index == 0 else 1
            outputs = w.channels(f"{name}.conv2" if basic else f"{name}.conv3")
            x = unit(w, name, x, stride, stride != 1 or x.shape[1] != outputs)
        return w.head(w.norm_relu("bn_last", x))

    return forward


# Torch


def zero_filled(x: Tensor, stride: int, channels: int) -> Tensor:
    x = F.avg_pool2d(x, 1, stride)
    return torch.cat([x, x * 0], 1) if x.shape[1] != channels else x


def torch_preresnet(basic: bool, counts: tuple[int, ...], cifar: bool = False) -> Definition:
    def residual(w: Weights, name: str, x: Tensor, stride: int) -> Tensor:
        if basic:
            x = w.norm_relu(f"{name}.bn2", w.conv(f"{name}.conv1", x, stride, 1))
            return w.conv(f"{name}.conv2", x, 1, 1)
        x = w.norm_relu(f"{name}.bn2", w.conv(f"{name}.conv1", x))
        x = w.norm_relu(f"{name}.bn3", w.conv(f"{name}.conv2", x, stride, 1))
        return w.conv(f"{name}.conv3", x)

    def shortcut(w: Weights, name: str, x: Tensor, stride: int) -> Tensor:
        outputs = w.channels(f"{name}.conv2" if basic else f"{name}.conv3")
        if cifar:
            return zero_filled(x, stride, outputs)
        return w.conv(f"{name}.downsample.0", x, stride) if x.shape[1] != outputs else x

    def forward(w: Weights, x: Tensor) -> Tensor:
        if cifar:  # the first norm is the first unit's, and before its paths split
            x = w.norm_relu("bn1", w.conv("conv1", x, 1, 1))
        else:  # the first norm is the stem's, and the first unit has none
            x = F.max_pool2d(w.norm_relu("bn1", w.conv("conv1", x, 2, 3)), 3, 2, 1)
        for stage, index, name in unit_names(counts):
            stride = 2 if stage > 1 and index == 0 else 1
            activated = x if (stage, index) == (1, 0) else w.norm_relu(f"{name}.bn1", x)
            carried = activated if index == 0 else x
            x = residual(w, name, activated, stride) + shortcut(w, name, carried, stride)
        return w.head(w.norm_relu("bn_last", x))

    return forward


# akamaster's CIFAR networks, and with zeros behind the Torch ones


def cifar_resnet(around: bool, counts: tuple[int, ...]) -> Definition:
    def shortcut(x: Tensor, channels: int) -> Tensor:
        if x.shape[1] == channels:
            return x
        if not around:
            return zero_filled(x, 2, channels)
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, channels // 4, channels // 4))

    def forward(w: Weights, x: Tensor) -> Tensor:
        x = w.norm_relu("bn1", w.conv("conv1", x, 1, 1))
        for stage, index, name in unit_names(counts):
            y = w.conv(f"{name}.conv1", x, 2 if stage > 1 and index == 0 else 1, 1)
            y = w.norm(f"{name}.bn2", w.conv(f"{name}.conv2", w.norm_relu(f"{name}.bn1", y), 1, 1))
            x = F.relu(y + shortcut(x, y.shape[1]))
        return w.head(x)

    return forward


CASES: list[tuple[str, dict[str, Any], Definition]] = [
    *(
        (f"slim_resnet_v{version}_50", NARROW | {"output_stride": stride}, slim(version, UNITS_50, stride))
        for version in (1, 2)
        for stride in (None, 4, 8, 16, 32)
    ),
    # blocks of one unit, which both widens and strides
    ("slim_resnet_v1_50", NARROW | {"units": (2, 1, 1, 2)}, slim(1, (2, 1, 1, 2))),
    ("slim_resnet_v2_50", NARROW | {"units": (2, 1, 1, 2)}, slim(2, (2, 1, 1, 2))),
    ("resnetv2_18", NARROW, timm_v2(True, UNITS_18)),
    ("resnetv2_18", NARROW | {"stem_width": 3}, timm_v2(True, UNITS_18)),  # the first unit projects, too
    ("resnetv2_50", NARROW, timm_v2(False, UNITS_50)),
    ("preresnet18", NARROW, torch_preresnet(True, UNITS_18)),
    ("preresnet18", NARROW | {"stem_width": 3}, torch_preresnet(True, UNITS_18)),
    ("preresnet50", NARROW, torch_preresnet(False, UNITS_50)),
    ("cifar_preresnet20", NARROW_CIFAR, torch_preresnet(True, (3, 3, 3), cifar=True)),
    ("cifar_resnet20", NARROW_CIFAR | {"zero_channels": "around"}, cifar_resnet(True, (3, 3, 3))),
    ("cifar_resnet20", NARROW_CIFAR | {"zero_channels": "behind"}, cifar_resnet(False, (3, 3, 3))),
]


def defined(network: Network, definition: Definition, momentum: float) -> Model:
    """Wrap a definition with tensors of its own."""
    mine = residuas(network)
    parameters = {
        name: torch.zeros_like(value, requires_grad=True) for name, value in mine.parameters.items()
    }
    statistics = {name: torch.zeros_like(value) for name, value in mine.statistics.items()}

    def forward(images: Tensor, training: bool) -> Tensor:
        return definition(Weights(parameters | statistics, momentum, training), images)

    return Model(forward, parameters, statistics)


@pytest.mark.parametrize(
    ("training", "side", "dtype"),
    [
        (False, 64, torch.float32),
        (False, 65, torch.float64),
        (True, 64, torch.float64),
        (True, 65, torch.float32),
    ],
)
@pytest.mark.parametrize(("name", "fields", "definition"), CASES)
def test_network_follows_its_definition(
    name: str, fields: dict[str, Any], definition: Definition, training: bool, side: int, dtype: torch.dtype
) -> None:
    network, batch = case(name, dtype, 4, side, training, **fields)
    momentum = 1 - 0.997 if name.startswith("slim") else 0.1
    mine, other = residuas(network), defined(network, definition, momentum)
    copy(mine, other)
    if training:
        limit, zero, given = TRAINING[dtype], without_effect(plan(network.spec, side)), momentum
    else:
        limit, zero, given = EVALUATION if dtype == torch.float32 else 1e-10, set(), None
    same(outcome(mine, batch, given), outcome(other, batch, given), limit, zero)


@pytest.mark.parametrize("name", sorted({name for name, _, _ in CASES}))
def test_convolutions_have_a_bias_where_they_should(name: str) -> None:
    """Only TF-Slim's second version has biases: where no norm follows in the same unit or stem."""
    found = [(step, layer.bias) for step, layer in plan(spec(name)).layers if layer.kind == "convolution"]
    biased = re.compile(r"conv1|layer\d\.\d+\.(downsample\.0|conv3)" if "slim_resnet_v2" in name else "none")
    assert found == [(step, biased.fullmatch(step) is not None) for step, _ in found]
