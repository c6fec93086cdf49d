"""Memory for time: recompute a unit in the backward pass instead of keeping its activations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import cast

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from residua.nets.batchnorm import BATCH_NORMS


def run(unit: nn.Module, x: Tensor) -> Tensor:
    """Run a unit, keeping only its input; running statistics move once, as without recomputation."""

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _frozen_statistics(unit)

    return cast(Tensor, checkpoint(unit, x, use_reentrant=False, context_fn=contexts))


@contextmanager
def _frozen_statistics(unit: nn.Module) -> Iterator[None]:
    norms = [module for module in unit.modules() if isinstance(module, BATCH_NORMS)]
    tracked = [norm.track_running_stats for norm in norms]
    for norm in norms:
        norm.track_running_stats = norm.track_running_stats and not norm.training
    try:
        yield
    finally:
        for norm, old in zip(norms, tracked, strict=True):
            norm.track_running_stats = old
