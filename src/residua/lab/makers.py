"""Who made something: versions, machine, device and time, in a file beside it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from residua.errors import UserError
from residua.lab.measurements import read_json, write_json
from residua.training.keeping.environment import environment

MADE = "made.json"
SAID = {"residua", "python", "libraries", "processor", "instructions", "processors", "gpus", "platform"}


@contextlib.contextmanager
def noted(folder: Path, device: str, precision: str) -> Iterator[None]:
    """Write down who works in a folder meanwhile, how, and for how long in all, however it ends."""
    before, began = maker(folder).get("seconds", 0.0), time.monotonic()
    try:
        yield
    finally:
        seconds = round(before + time.monotonic() - began, 1)
        with contextlib.suppress(OSError, UserError):
            if folder.exists():
                how = {"device": device, "precision": precision, "seconds": seconds}
                write_json(folder / MADE, {"environment": environment(), **how})


def maker(folder: Path) -> dict[str, Any]:
    """Return who made what lies in a folder; nothing if that is not known, or the file is damaged."""
    found = read_json(folder / MADE)
    about = found.get("environment")
    whole = (
        isinstance(about, dict)
        and about.keys() >= SAID
        and isinstance(about["libraries"], dict)
        and isinstance(about["gpus"], list)
        and isinstance(found.get("seconds", 0.0), (int, float))
        and isinstance(found.get("command", []), list)
    )
    return found if whole else {}
