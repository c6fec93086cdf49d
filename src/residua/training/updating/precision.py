"""Numbers of 16 bits: where they are computed in, and where they can be."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from residua.training.settings import Settings


def precision(settings: Settings) -> AbstractContextManager[None]:
    """Compute in the settings' precision."""
    return torch.autocast(
        torch.device(settings.device).type, torch.bfloat16, enabled=settings.precision == "bf16"
    )


def multiplies_bf16(device: str) -> bool:
    """Whether a device multiplies in bf16; where it does not, fp32 may be a hundred times as fast."""
    on_cpu = torch.device(device).type == "cpu"
    return bool(torch.cpu._is_avx512_bf16_supported() if on_cpu else torch.cuda.is_bf16_supported())
