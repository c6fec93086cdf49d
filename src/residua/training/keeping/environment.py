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
        "platform": platform.platform(),
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(number) for number in gpus],
    }


def _processor() -> str:
    """Return the processor's name, which Python knows on some systems only."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
