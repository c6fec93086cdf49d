"""Memory for time: recompute a unit in the backward pass instead of keeping its activations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from residua.nets.batchnorm import BATCH_NORMS


def run(unit: nn.Module, x: Tensor) -> Tensor:
    """Run a unit, keeping only its input; running statistics move once, as without recomputation."""
    if torch.compiler.is_compiling():  # PyTorch's own, which loads the compiler, for 70 MB
        from torch.utils.checkpoint import checkpoint

        return cast(Tensor, checkpoint(unit, x, use_reentrant=False))
    again = _Recomputation(unit, x)
    with saved_tensors_hooks(again.numbered, again.recomputed):
        return cast(Tensor, unit(x))


class _Recomputation:
    """Stands for the tensors that a unit saves: they are computed once more when the first is asked for."""

    def __init__(self, unit: nn.Module, x: Tensor) -> None:
        self.unit, self.x = unit, x
        self.saved = 0
        self.found: dict[int, Tensor] = {}
        self.precision = torch.is_autocast_enabled(x.device.type), torch.get_autocast_dtype(x.device.type)
        self.chance = torch.get_rng_state(), torch.cuda.get_rng_state(x.device) if x.is_cuda else None

    def numbered(self, _: Tensor) -> int:
        """Take a number for a tensor, and not the tensor."""
        self.saved += 1
        return self.saved - 1

    def recomputed(self, number: int) -> Tensor:
        """Return the tensor of a number, and forget it."""
        if number not in self.found:
            self._run()
        return self.found.pop(number)

    def _run(self) -> None:
        self.found.clear()
        x = self.x.detach().requires_grad_(self.x.requires_grad)
        enabled, dtype = self.precision
        with (
            _as_drawn(self.chance, x),
            _kept_statistics(self.unit),
            torch.enable_grad(),
            torch.autocast(x.device.type, dtype, enabled=enabled),
            saved_tensors_hooks(self._keep, self._lost),
        ):
            self.unit(x)

    def _keep(self, tensor: Tensor) -> None:
        self.found[len(self.found)] = tensor.detach()

    def _lost(self, _: None) -> Tensor:
        raise RuntimeError("a recomputed unit has no backward pass of its own.")


@contextmanager
def _as_drawn(chance: tuple[Tensor, Tensor | None], x: Tensor) -> Iterator[None]:
    """Draw what was drawn in the first run."""
    cpu, cuda = chance
    with torch.random.fork_rng([x.device] if x.is_cuda else ()):
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state(cuda, x.device)
        yield


@contextmanager
def _kept_statistics(unit: nn.Module) -> Iterator[None]:
    norms = (module for module in unit.modules() if isinstance(module, BATCH_NORMS))
    statistics = [buffer for norm in norms for buffer in norm.buffers()]
    before = [buffer.clone() for buffer in statistics]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, old in zip(statistics, before, strict=True):
                buffer.copy_(old)
