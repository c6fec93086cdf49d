"""How results were made: the command, versions, machine, time."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from residua.lab.reporting.records import Record


def made(record: Record) -> list[tuple[str, str]]:
    """Return how it was made: the command, versions, machine, time."""
    told = record.made
    about: Mapping[str, Any] = told.get("environment") or {}
    libraries = ", ".join(f"{name} {version}" for name, version in (about.get("libraries") or {}).items())
    gpus = ", ".join(about.get("gpus") or ())
    processor = f"{about.get('processor', '')}, {about.get('processors', '?')} processors"
    rows = [
        ("data", record.data if record.trials else "none, networks are counted"),
        ("seeds", f"{record.seeds}" if record.trials else ""),
        ("versions", f"Residua {about['residua']}, Python {about['python']}, {libraries}" if about else ""),
        ("machine", f"{gpus or processor}; {about.get('platform', '')}" if about else ""),
        ("began", str(told.get("began", ""))[:16].replace("T", " ")),
        ("time of the last command", _time(told["seconds"]) if "seconds" in told else ""),
    ]
    return [(name, text) for name, text in rows if text]


def command(record: Record) -> str | None:
    """Return the command that made it."""
    told = record.made.get("command")
    return shlex.join(map(str, told)) if told else None


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
