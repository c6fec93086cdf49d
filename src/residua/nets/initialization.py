"""First weights, as the papers draw them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import nn

from residua.nets.batchnorm import BATCH_NORMS
from residua.nets.spec import VggSpec

if TYPE_CHECKING:
    from residua.nets.network import Network, Unit, Vgg


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let what is drawn on the processor depend on a seed alone; afterwards chance goes on as it was."""
    with torch.random.fork_rng(()):
        torch.default_generator.manual_seed(seed)  # the processor's alone: fork_rng keeps no other
        yield


@torch.no_grad()
def initialize(network: Network | Vgg) -> None:
    """Draw He-normal convolutions (fan-out) and set norms to 1 and 0; linear layers are torchvision's."""
    if next(network.parameters()).is_meta:  # nothing to fill; drawing there would load PyTorch's compiler
        return
    for module in network.modules():
        _draw(module, isinstance(network.spec, VggSpec))
    if isinstance(network.spec, VggSpec):
        return
    for unit in network.units:
        if unit.block.gate and unit.gate.bias is not None:
            nn.init.constant_(unit.gate.bias, network.spec.gate_bias or 0.0)
        if network.spec.zero_init_residual:
            _start_at_zero(unit)


def _draw(module: nn.Module, in_vgg: bool) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear) and in_vgg:
        nn.init.normal_(module.weight, 0, 0.01)
        nn.init.zeros_(module.bias)
    elif isinstance(module, (nn.Linear, nn.GroupNorm, *BATCH_NORMS)):
        module.reset_parameters()


def _start_at_zero(unit: Unit) -> None:
    """Make the residual 0 but able to learn: the last norm's gain, or the last weights where none follows.

    A gain of 0 before a ReLU would get no gradient, so what counts is what comes last.
    """
    last = [name for name, layer in unit.block.residual if layer.kind in ("convolution", "norm")][-1]
    nn.init.zeros_(unit.get_parameter(f"{last}.weight"))
