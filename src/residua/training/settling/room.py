"""How much memory there is."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import torch

UNKNOWN = 4 << 30  # where the system does not say
MACHINE = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")  # as a container sees its own


def free_memory(device: str, machine: Path = MACHINE, group: Path = GROUP) -> int:
    """Return the bytes that can be had: what only keeps files at hand can, and a container has its bound."""
    if device != "cpu":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free) + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    rooms = [room for room in (_of_machine(machine), _of_group(group)) if room is not None]
    return min(rooms, default=UNKNOWN)


def _of_machine(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        if found := re.search(r"^MemAvailable:\s+(\d+) kB$", path.read_text(), re.MULTILINE):
            return 1024 * int(found[1])
    return None


def _of_group(folder: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):  # "max" is no bound
        most, used = (int((folder / name).read_text()) for name in ("memory.max", "memory.current"))
        files = re.search(r"^inactive_file (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
        return max(0, most - used + int(files[1] if files else 0))
    return None
