"""Where a network runs, a processor or a GPU, by name, and in what precision."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager

import torch

from residua.errors import UserError, unknown

PRECISIONS = ("fp32", "bf16")


def device_named(wanted: str) -> str:
    """Return the device for auto, cpu, cuda, cuda:1 and so on; auto is a GPU where there is one."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    found = re.fullmatch(r"cpu|cuda(?::(\d+))?", wanted, re.ASCII)
    if found is None:
        raise UserError(f"device={wanted!r} is not valid: it is auto, cpu, cuda or cuda:1 and so on.")
    seen = torch.cuda.device_count() if wanted != "cpu" and torch.cuda.is_available() else 0
    if wanted != "cpu" and int(found[1] or 0) >= seen:
        gpus = {0: "no GPU", 1: "one GPU, cuda:0,"}.get(seen, f"{seen} GPUs, from cuda:0,")
        raise UserError(f"device={wanted!r} is not here: PyTorch sees {gpus} on this machine.")
    return wanted


def multiplies_bf16(device: str) -> bool:
    """Whether a device multiplies in bf16; where it does not, fp32 may be a hundred times as fast."""
    on_cpu = torch.device(device).type == "cpu"
    if on_cpu:
        return bool(torch.cpu._is_avx512_bf16_supported())
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def check_precision(name: str, device: str | torch.device) -> None:
    """Fail for a precision that there is not, or that a device would not be fast in."""
    if name not in PRECISIONS:
        raise unknown("precision", name, PRECISIONS)
    if name == "bf16" and not multiplies_bf16(str(device)):
        raise UserError(f"precision='bf16' is not for this machine: {device} does not multiply in it.")


def in_precision(name: str, device: str | torch.device) -> AbstractContextManager[None]:
    """Compute in fp32, or multiply in bf16."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=name == "bf16")
