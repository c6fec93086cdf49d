"""Every shortcut and order against the papers' formulas, written out with PyTorch's functions alone."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import residua
from residua.nets.network import Unit


def unit_of(index: int, **fields: Any) -> Unit:
    """A unit in float64 with random statistics: of a small network, 0 is equal in shape, 2 is dotted."""
    torch.manual_seed(0)
    network = residua.create("tiny_resnet", units=(2, 2), **fields).double().eval()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point() and "conv" not in name and "downsample.0" not in name:
                value.uniform_(0.3, 1.5)
    return network.units[index]


def conv(unit: Unit, name: str, x: Tensor) -> Tensor:
    module = unit.get_submodule(name)
    assert isinstance(module, nn.Conv2d) and isinstance(module.padding, tuple)
    return F.conv2d(x, module.weight, module.bias, module.stride, (module.padding[0], module.padding[1]))


def bn(unit: Unit, name: str, x: Tensor) -> Tensor:
    values = [
        unit.state_dict()[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    ]
    mean, var, gamma, beta = (value.view(1, -1, 1, 1) for value in values)
    normalized: Tensor = gamma * (x - mean) / (var + 1e-5).sqrt() + beta
    return normalized


def image(channels: int) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, channels, 9, 9, dtype=torch.float64)


def residual(unit: Unit, x: Tensor) -> Tensor:
    return bn(unit, "bn2", conv(unit, "conv2", bn(unit, "bn1", conv(unit, "conv1", x)).relu()))


def gate(unit: Unit, x: Tensor) -> Tensor:
    stride = 2 if unit.block.inputs.side > unit.block.outputs.side else 1
    return torch.sigmoid(F.conv2d(x, unit.gate.weight, unit.gate.bias, stride))


def option_a(x: Tensor) -> Tensor:
    """Every second pixel, zeros for the channels that are new."""
    x = x[:, :, ::2, ::2]
    return torch.cat([x, torch.zeros_like(x)], 1)


SHORTCUTS: list[tuple[dict[str, Any], Any, Any]] = [  # fields, factors of shortcut and residual, from g(x)
    ({}, 1, 1),
    ({"shortcut": "scaling", "shortcut_scale": 0.3, "residual_scale": 0.7}, 0.3, 0.7),
    ({"shortcut": "exclusive_gating"}, lambda g: 1 - g, lambda g: g),
    ({"shortcut": "shortcut_only_gating", "gate_bias": -1}, lambda g: 1 - g, 1),
    ({"shortcut": "dropout"}, 1, 1),
]


@pytest.mark.parametrize("index", [0, 2])
@pytest.mark.parametrize(("fields", "shortcut", "learned"), SHORTCUTS)
def test_shortcuts(index: int, fields: dict[str, Any], shortcut: Any, learned: Any) -> None:
    unit = unit_of(index, projection="A", **fields)
    x = image(4)
    carried = option_a(x) if index == 2 else x
    h, f = (factor(gate(unit, x)) if callable(factor) else factor for factor in (shortcut, learned))
    torch.testing.assert_close(unit(x), (h * carried + f * residual(unit, x)).relu())


def test_dropout_drops_the_shortcut_in_training() -> None:
    unit = unit_of(0, shortcut="dropout", dropout_rate=0.25).train()
    dropped = unit.shortcut(torch.ones(1, 4, 99, 99, dtype=torch.float64))
    assert torch.unique(dropped).tolist() == pytest.approx([0, 1 / 0.75])
    assert dropped.eq(0).double().mean().item() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("fields", [{"shortcut": "convolution"}, {"projection": "C"}])
@pytest.mark.parametrize("index", [0, 2])
def test_a_convolution_on_every_shortcut(fields: dict[str, Any], index: int) -> None:
    unit, x = unit_of(index, **fields), image(4)
    h = bn(unit, "downsample.1", conv(unit, "downsample.0", x))
    torch.testing.assert_close(unit(x), (h + residual(unit, x)).relu())


ORDERS: dict[str, Any] = {
    "bn_after_addition": lambda u, x: bn(
        u, "bn2", x + conv(u, "conv2", bn(u, "bn1", conv(u, "conv1", x)).relu())
    ).relu(),
    "relu_before_addition": lambda u, x: x + residual(u, x).relu(),
    "relu_only_preactivation": lambda u, x: (
        x + bn(u, "bn2", conv(u, "conv2", bn(u, "bn1", conv(u, "conv1", x.relu())).relu()))
    ),
    "full_preactivation": lambda u, x: (
        x + conv(u, "conv2", bn(u, "bn2", conv(u, "conv1", bn(u, "bn1", x).relu())).relu())
    ),
}


@pytest.mark.parametrize("order", ORDERS)
def test_orders(order: str) -> None:
    unit, x = unit_of(1, order=order), image(4)
    torch.testing.assert_close(unit(x), ORDERS[order](unit, x))


def test_squeeze_excitation_and_the_pooled_projection() -> None:
    unit, x = unit_of(2, squeeze_excitation=2, projection_pool=True), image(4)
    f = residual(unit, x)
    scale = f.mean((2, 3), keepdim=True)
    scale = conv(unit, "se.fc2", conv(unit, "se.fc1", scale).relu()).sigmoid()
    padded = F.pad(x, (0, 1, 0, 1))
    inside = F.pad(torch.ones_like(x), (0, 1, 0, 1))
    pooled = F.avg_pool2d(padded, 2) / F.avg_pool2d(inside, 2)  # the border does not count
    h = bn(unit, "downsample.2", conv(unit, "downsample.1", pooled))
    torch.testing.assert_close(unit(x), (h + f * scale).relu())


@pytest.mark.parametrize(
    ("channels", "reduction", "hidden"), [(256, 16, 16), (2048, 16, 128), (320, 16, 24), (8, 16, 8)]
)
def test_squeeze_excitation_widths_are_timms(channels: int, reduction: int, hidden: int) -> None:
    spec = residua.spec("tiny_resnet", units=(1,), widths=(channels,), squeeze_excitation=reduction)
    block = residua.plan(spec).stages[0].units[0]
    assert dict(block.residual)["se"].hidden == hidden


def test_group_norm_takes_as_many_groups_as_divide() -> None:
    norms = residua.create("cifar_resnet20", norm="group", widths=(12, 32, 64), projection="B").modules()
    groups = {module.num_channels: module.num_groups for module in norms if isinstance(module, nn.GroupNorm)}
    assert groups == {16: 16, 12: 4, 32: 32, 64: 32}


@pytest.mark.parametrize("side", [64, 65])
@pytest.mark.parametrize("stride", [8, 16])
def test_the_pooled_projection_stays_exact_where_strides_become_dilation(side: int, stride: int) -> None:
    torch.manual_seed(0)
    strided = residua.create("resnet50d", widths=(8, 8, 16, 16), num_classes=2).double().eval()
    dense = (
        residua.create("resnet50d", widths=(8, 8, 16, 16), num_classes=2, output_stride=stride)
        .double()
        .eval()
    )
    dense.load_state_dict(strided.state_dict())
    x = torch.randn(1, 3, side, side, dtype=torch.float64)
    for one, other in zip(strided.features(x), dense.features(x), strict=True):
        step = one.stride // other.stride
        torch.testing.assert_close(other.output[:, :, ::step, ::step], one.output, rtol=1e-9, atol=1e-9)


def test_equal_weights_whatever_the_output_stride() -> None:
    """A stage as wide as the one before keeps its projection when its stride becomes dilation."""
    spec = residua.spec("resnet50", units=(1, 1), widths=(8, 8), stem_width=32)
    keys = [set(residua.create(spec, output_stride=stride).state_dict()) for stride in (4, 8)]
    assert keys[0] == keys[1]
