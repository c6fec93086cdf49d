"""How results were made: the command, and the versions, machines and time of their trainings."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from residua.lab.reporting.records import Record, Values
from residua.lab.scales import settings_in_words


def made(record: Record) -> list[tuple[str, str]]:
    """Return how it was made: by whom its trials were, or, without any, its counts."""
    makers = [*filter(None, record.makers)] or [*filter(None, [record.made])]
    rows = [
        ("data", record.data if record.trials else "none, networks are counted"),
        ("training", _training(record)),
        ("seeds", f"{record.seeds}" if record.trials else ""),
        ("versions", _different([_versions(each) for each in makers])),
        ("machine", _different([_machine(each) for each in makers])),
        ("time of all trials", _time(sum(each.get("seconds", 0.0) for each in makers))),
    ]
    return [(name, text) for name, text in rows if text]


def command(record: Record) -> str | None:
    """Return the command that made it, or the last part of it."""
    told = record.made.get("command")
    return shlex.join(map(str, told)) if told else None


def _training(record: Record) -> str:
    """Say how its networks were trained, but for what each has of its own, and on how many pictures."""
    settings = settings_in_words(record.result.get("training", {}))
    learned, held_out = record.pictures
    pictures = f"{learned:,} pictures to learn from, {held_out:,} held out" if learned else ""
    return "; ".join(filter(None, (settings, pictures)))


def _versions(maker: Values) -> str:
    about = maker["environment"]
    libraries = ", ".join(f"{name} {version}" for name, version in about["libraries"].items())
    return f"Residua {about['residua']}, Python {about['python']}, {libraries}"


def _machine(maker: Values) -> str:
    """Name what was computed with; a GPU that only was there is not said."""
    about = maker["environment"]
    precision = maker.get("precision", "fp32")
    where = f"{about['processor']} ({about['instructions']}), {about['processors']} processors"
    if maker.get("device", "cpu") != "cpu":
        where = ", ".join(about["gpus"])
        precision = "fp32 without TF32" if precision == "fp32" else precision
    trained = f", in {precision}" if "device" in maker else ""
    return f"{where}{trained}; {about['platform']}"


def _different(texts: Sequence[str]) -> str:
    """Say each once, and of several how many trainings it is of."""
    counts = {text: texts.count(text) for text in texts}
    return (
        next(iter(counts)) if len(counts) == 1 else "; ".join(f"{n} by {text}" for text, n in counts.items())
    )


def _time(seconds: float) -> str:
    if not seconds:
        return ""
    minutes = f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
    return (f"{seconds:.0f} s" if seconds < 100 else minutes) + ", measurements included"
