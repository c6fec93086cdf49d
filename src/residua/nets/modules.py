"""The module that does what a planned layer says."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from residua.nets.batchnorm import FirstPrinciplesBatchNorm
from residua.nets.layers import Chain, Kind, Layer
from residua.nets.spec import Spec, groups_of


class Subsample(nn.Module):
    """Option A's shortcut: every stride-th pixel, and zeros for the channels that are new."""

    def __init__(self, stride: int, new_channels: int, around: bool) -> None:
        super().__init__()
        self.stride = stride
        self.front = new_channels // 2 if around else 0
        self.back = new_channels - self.front

    def forward(self, x: Tensor) -> Tensor:
        """Take pixels, add channels."""
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.front, self.back)) if self.front or self.back else x

    def extra_repr(self) -> str:
        """Shown in the printed network."""
        return f"stride={self.stride}, zeros_before={self.front}, zeros_behind={self.back}"


class BorderedMaxPool(nn.Module):
    """3x3 max pool of stride 2 that pads with zeros, or as TensorFlow's "SAME" does."""

    def __init__(self, border: str) -> None:
        super().__init__()
        self.border = border

    def forward(self, x: Tensor) -> Tensor:
        """Pool: "same" leaves out the border, before an even side has none and an odd one has one row."""
        if self.border == "zeros":
            return F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 2)
        height, width = x.shape[2:]
        return F.max_pool2d(x, 3, 2, padding=(height % 2, width % 2), ceil_mode=True)

    def extra_repr(self) -> str:
        """Shown in the printed network."""
        return f"border={self.border}"


class DilatedAverage(nn.Module):
    """2x2 average whose stride became dilation: at every place what the strided one gives at its own."""

    def __init__(self, rate: int) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Average four pixels, or those of them that are in the image."""
        inside = x.new_ones(1, 1, *x.shape[2:])
        return self.total(x) / self.total(inside)

    def total(self, x: Tensor) -> Tensor:
        """Sum of four pixels."""
        height, width = x.shape[2:]
        x = F.pad(x, (0, self.rate, 0, self.rate))
        rows = x[:, :, :height] + x[:, :, self.rate :]
        return rows[:, :, :, :width] + rows[:, :, :, self.rate :]

    def extra_repr(self) -> str:
        """Shown in the printed network."""
        return f"rate={self.rate}"


class SqueezeExcitation(nn.Module):
    """Scales every channel by a number between 0 and 1 that the whole image decides."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels."""
        scales: Tensor = self.fc2(self.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * scales.sigmoid()


class StochasticDepth(nn.Module):
    """In training, leaves out the residual of each sample with a probability and scales the others up."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Drop samples of a batch."""
        if not self.training:
            return x
        kept = torch.rand(x.shape[0], 1, 1, 1, device=x.device, dtype=torch.float32) >= self.rate
        return x * (kept.to(x.dtype) / (1 - self.rate))

    def extra_repr(self) -> str:
        """Shown in the printed network."""
        return f"rate={self.rate:g}"


class AveragePool(nn.AdaptiveAvgPool2d):
    """Adaptive average whose gradient can be deterministic on a GPU too, for which PyTorch has no kernel."""

    def __init__(self, side: int) -> None:
        super().__init__(side)
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        """Average each part of the image, as two products where that must be deterministic."""
        if self.side > 1 and x.is_cuda and torch.are_deterministic_algorithms_enabled():
            return averaged(x, self.side)
        return super().forward(x)


def averaged(x: Tensor, side: int) -> Tensor:
    """Return what an adaptive average does, by matrices: down, then across."""
    down, across = (_shares(length, side, x.device).to(x) for length in x.shape[2:])
    return down @ x @ across.T


def _shares(length: int, parts: int, device: torch.device) -> Tensor:
    """Return how much each of so many pixels in a row counts in each part of it."""
    part, pixel = torch.arange(parts, device=device)[:, None], torch.arange(length, device=device)
    inside = (pixel >= part * length // parts) & (pixel < -(-(part + 1) * length // parts))
    return inside / inside.sum(1, keepdim=True)


def build(layer: Layer, spec: Spec | None = None) -> nn.Module:
    """Build one layer; only a norm asks the spec which it is."""
    return _norm(layer, spec) if layer.kind == "norm" else BUILDERS[layer.kind](layer)


class NarrowStride(nn.Conv2d):
    """A 1x1 convolution of few channels that leaves pixels out: they are left out first.

    In channels_last, oneDNN's gradient of such weights writes beyond its memory: it is wrong, crashes or
    hangs (uxlfoundation/oneDNN#6035).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve the pixels that count."""
        down, across = self.stride
        return nn.functional.conv2d(x[..., ::down, ::across], self.weight, self.bias, groups=self.groups)


NARROW = 16  # channels that oneDNN takes at once, at most


def _convolution(layer: Layer) -> nn.Conv2d:
    narrow = layer.kernel == 1 and layer.stride > 1 and layer.inputs.channels < NARROW * layer.groups
    return (NarrowStride if narrow else nn.Conv2d)(
        layer.inputs.channels,
        layer.outputs.channels,
        layer.kernel,
        stride=layer.stride,
        padding=layer.dilation * (layer.kernel // 2),
        dilation=layer.dilation,
        groups=layer.groups,
        bias=layer.bias,
    )


def _max_pool(layer: Layer) -> nn.Module:
    if layer.border == "none":
        return nn.MaxPool2d(layer.kernel, layer.stride, padding=layer.kernel // 2 if layer.kernel % 2 else 0)
    return BorderedMaxPool(layer.border)


def _average_pool(layer: Layer) -> nn.Module:
    if layer.stride == 1:
        return DilatedAverage(layer.dilation)
    return nn.AvgPool2d(layer.kernel, layer.stride, ceil_mode=True, count_include_pad=False)


def _subsample(layer: Layer) -> nn.Module:
    new_channels = layer.outputs.channels - layer.inputs.channels
    return Subsample(layer.stride, new_channels, layer.around)


def _norm(layer: Layer, spec: Spec | None) -> nn.Module:
    channels = layer.outputs.channels
    if spec is None:
        return nn.BatchNorm2d(channels)
    eps = spec.norm_eps or 1e-5
    if spec.norm == "group":
        return nn.GroupNorm(groups_of(spec, channels), channels, eps)
    momentum = None if spec.norm_momentum == "exact" else cast(float, spec.norm_momentum)
    kind = nn.BatchNorm2d if spec.norm == "batch" else FirstPrinciplesBatchNorm
    return kind(channels, eps, momentum)


BUILDERS: dict[Kind, Callable[[Layer], nn.Module]] = {
    "convolution": _convolution,
    "relu": lambda layer: nn.ReLU(inplace=layer.inplace),
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "adaptive_pool": lambda layer: AveragePool(layer.outputs.side),
    "subsample": _subsample,
    "squeeze_excitation": lambda layer: SqueezeExcitation(layer.inputs.channels, layer.hidden),
    "stochastic_depth": lambda layer: StochasticDepth(layer.rate),
    "dropout": lambda layer: nn.Dropout(layer.rate),
    "flatten": lambda _: nn.Flatten(),
    "linear": lambda layer: nn.Linear(layer.inputs.channels, layer.outputs.channels),
}


def attach(module: nn.Module, chain: Chain, spec: Spec | None = None) -> tuple[str, ...]:
    """Build a chain's layers into a module under their names, and return the steps that run it.

    A dotted name ("downsample.0") is a place in a `Sequential`, which runs as one step.
    """
    steps: list[str] = []
    for name, layer in chain:
        first, _, rest = name.partition(".")
        if rest:
            if first not in module._modules:
                module.add_module(first, nn.Sequential())
            module.get_submodule(first).add_module(rest, build(layer, spec))
        elif first not in module._modules:
            module.add_module(first, build(layer, spec))
        if not (rest and steps and steps[-1] == first):
            steps.append(first)
    return tuple(steps)


def run(module: nn.Module, steps: tuple[str, ...], x: Tensor) -> Tensor:
    """Pass x through the named parts of a module, one after the other."""
    for step in steps:
        x = getattr(module, step)(x)
    return x
