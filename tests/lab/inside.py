"""Networks so small that everything about them can be computed twice, in double precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

import residua
from residua import Network, Vgg, VggSpec

SPACIOUS = {"units": (2, 1)}
VARIANTS: dict[str, dict[str, Any]] = {
    "original": {},
    "bn after addition": {"order": "bn_after_addition"},
    "relu before addition": {"order": "relu_before_addition"},
    "relu-only": {"order": "relu_only_preactivation"},
    "full": {"order": "full_preactivation"},
    "full, with the activation in the unit": {"order": "full_preactivation", "first_activation": "unit"},
    "projection B": {"projection": "B"},
    "projections": {"shortcut": "convolution"},
    "scaling": {"shortcut": "scaling", "shortcut_scale": 0.3, "residual_scale": 0.7},
    "exclusive gating": {"shortcut": "exclusive_gating", "gate_bias": -1},
    "shortcut-only gating": {"shortcut": "shortcut_only_gating", "gate_bias": 0},
    "dropout": {"shortcut": "dropout"},
    "bottleneck": {"unit": "bottleneck", "order": "full_preactivation", "squeeze_excitation": 2},
    "without norm": {"norm": "none"},
}
PLAIN: dict[str, Any] = {"residual": False}
PIXELS = torch.randn(12, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
LABELS = torch.arange(12) % 10
POSITIVE = torch.rand(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) + 0.1
TWO = torch.tensor([0, 1, 0, 1])
BATCHES = [(PIXELS[:8], LABELS[:8]), (PIXELS[8:], LABELS[8:])]


def tiny(fields: dict[str, Any] | None = None, training: bool = False, **more: Any) -> Network:
    """A network of three units with random statistics."""
    torch.manual_seed(0)
    network = residua.create("tiny_resnet", **(SPACIOUS | (fields or {}) | more)).double()
    with torch.no_grad():
        for name, value in network.named_buffers():
            if value.is_floating_point():
                value.uniform_(0.5, 1.5) if "var" in name else value.normal_(0, 0.3)
        network.fc.bias.sub_(network.eval()(PIXELS).mean(0))  # no class is likeliest for all samples
    return network.train(training)


def tiny_vgg() -> Vgg:
    """A VGG of five convolutions, of which the second and the last can be left out."""
    torch.manual_seed(0)
    spec = VggSpec(convolutions=(2, 3), widths=(4, 6), hidden=8, norm="batch", num_classes=10, input_size=8)
    return residua.create(spec).double().eval()


def state_of(network: Network | Vgg) -> dict[str, Tensor]:
    """A copy of all that a measurement must leave as it was."""
    modes = {f"mode of {name}": torch.tensor(m.training) for name, m in network.named_modules()}
    return {name: value.clone() for name, value in network.state_dict().items()} | modes


def assert_unchanged(network: Network | Vgg, before: dict[str, Tensor]) -> None:
    after = state_of(network)
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())


def failing() -> Iterator[tuple[Tensor, Tensor]]:
    """Batches whose source breaks."""
    yield BATCHES[0]
    raise RuntimeError("the disk is gone")


def centre(module: nn.Module, name: str, value: float) -> None:
    """Let a convolution multiply by a number."""
    convolution = module.get_submodule(name)
    assert isinstance(convolution, nn.Conv2d)
    convolution.weight[:, :, 1, 1] = value


def linear(weights: list[float], **fields: Any) -> Network:
    """A network of one channel whose units multiply positive numbers by 1 + weight: nothing else happens."""
    network = residua.create(
        "tiny_resnet", units=(len(weights),), widths=(1,), stem_width=1, norm="none", num_classes=2, **fields
    ).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        centre(network, "conv1", 1.0)
        for unit, weight in zip(network.units, weights, strict=True):
            centre(unit, "conv1", 1.0)
            centre(unit, "conv2", weight)
        network.fc.weight[:] = torch.tensor([[1.0], [-1.0]])
    return network.eval()
