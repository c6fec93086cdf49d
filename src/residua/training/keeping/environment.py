"""What a run computes with: versions, machine and threads, and nothing about whose machine it is."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from residua import __version__

LIBRARIES = ("torch", "numpy", "pillow", "safetensors")
DECIDING = ("residua", "cuda", "processor", "instructions", "gpus")  # the last bits of a sum


def environment() -> dict[str, Any]:
    """Return what this process runs on, now."""
    import torch  # not before the run's lock is had

    gpus = range(torch.cuda.device_count())
    return {
        "started": datetime.now(UTC).isoformat(),
        "residua": __version__,
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "cuda": torch.version.cuda,
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(number) for number in gpus],
    }


def changes(then: Any, now: dict[str, Any]) -> list[str]:
    """Say what has changed of all that the last bits of a training depend on."""
    before, after = _deciding(then), _deciding(now)
    both = [name for name in after if name in before]
    return [f"{name} was {before[name]} and is {after[name]}" for name in both if before[name] != after[name]]


def _deciding(said: Any) -> dict[str, Any]:
    """Pick the facts that decide; what somebody has spoiled says nothing."""
    if not isinstance(said, dict) or not isinstance(said.get("libraries"), dict):
        return {}
    return {**said["libraries"], **{name: said[name] for name in DECIDING if name in said}}


def _processor() -> str:
    """Return the processor's name, which Python knows on some systems only."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
