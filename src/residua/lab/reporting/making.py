"""How results were made: the command, and the versions, machines and time of their trainings."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from residua.lab.reporting.records import Record, Values


def made(record: Record) -> list[tuple[str, str]]:
    """Return how it was made: by whom its trials were, or, without any, its counts."""
    makers = [*filter(None, record.makers)] or [*filter(None, [record.made])]
    rows = [
        ("data", record.data if record.trials else "none, networks are counted"),
        ("seeds", f"{record.seeds}" if record.trials else ""),
        ("versions", _different([_versions(each) for each in makers])),
        ("machine", _different([_machine(each) for each in makers])),
        ("time of all trainings", _time(sum(each.get("seconds", 0.0) for each in makers))),
    ]
    return [(name, text) for name, text in rows if text]


def command(record: Record) -> str | None:
    """Return the command that made it, or the last part of it."""
    told = record.made.get("command")
    return shlex.join(map(str, told)) if told else None


def _versions(maker: Values) -> str:
    about = maker["environment"]
    libraries = ", ".join(f"{name} {version}" for name, version in about["libraries"].items())
    return f"Residua {about['residua']}, Python {about['python']}, {libraries}"


def _machine(maker: Values) -> str:
    """Name what was computed with; a GPU that only was there is not said."""
    about = maker["environment"]
    where = f"{about['processor']} ({about['instructions']}), {about['processors']} processors, in fp32"
    if maker.get("device", "cpu") != "cpu":
        where = f"{', '.join(about['gpus'])}, in fp32 without TF32"
    return f"{where}; {about['platform']}"


def _different(texts: Sequence[str]) -> str:
    """Say each once, and of several how many trainings it is of."""
    counts = {text: texts.count(text) for text in texts}
    return (
        next(iter(counts)) if len(counts) == 1 else "; ".join(f"{n} by {text}" for text, n in counts.items())
    )


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds else ""
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
