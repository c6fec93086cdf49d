"""Memory for time: recompute a unit in the backward pass instead of keeping its activations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from residua.nets.batchnorm import BATCH_NORMS


def run(unit: nn.Module, x: Tensor) -> Tensor:
    """Run a unit, keeping only its input; running statistics move once, as without recomputation."""

    if torch.compiler.is_compiling():  # which recomputes without moving statistics
        return cast(Tensor, checkpoint(unit, x, use_reentrant=False))

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _kept_statistics(unit)

    return cast(Tensor, checkpoint(unit, x, use_reentrant=False, context_fn=contexts))


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
