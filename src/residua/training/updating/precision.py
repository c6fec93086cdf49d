"""Numbers of 16 bits: where they are computed in, and where they can be."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from residua.nets.devices import multiplies_bf16 as multiplies_bf16
from residua.training.settings import Settings


def precision(settings: Settings) -> AbstractContextManager[None]:
    """Compute in the settings' precision."""
    return torch.autocast(
        torch.device(settings.device).type, torch.bfloat16, enabled=settings.precision == "bf16"
    )
