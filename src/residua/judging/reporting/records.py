"""What a run's folder says of itself; whatever is missing or damaged is left out, and said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml

from residua.data.sources.table import read_rows
from residua.errors import UserError
from residua.judging.runfiles import (
    BAD,
    CLASSES,
    CONFIG,
    DATA,
    ENVIRONMENT,
    EVALUATION,
    METRICS,
    SPLIT,
    SUMMARY,
    PlainLoader,
    read_metrics,
)
from residua.text import parse_json

MEASURED = ("train_loss", "lr", "images_per_second", "val_loss", "val_top1", "val_top5", "val_macro_f1")
HUGE = 1e12  # no measurement is as large, nor its inverse
Line = dict[str, float | None]
Row = dict[str, str]
Value = TypeVar("Value")


@dataclass(frozen=True)
class Records:
    """The files of one run."""

    folder: Path
    finished: bool  # whether the training is over: its summary is written last
    config: dict[str, Any]  # all settings
    summary: dict[str, Any]  # what the training came to
    environment: dict[str, Any]  # versions and machine
    data: dict[str, Any]  # what the check found before the training
    evaluation: dict[str, Any]  # of the best model; before the end there is none
    classes: tuple[str, ...]  # in the order of the network's outputs
    lines: tuple[Line, ...]  # the metrics, less what is no number
    split: tuple[Row, ...]  # every picture with its label and its part
    bad: tuple[Row, ...]  # the pictures that could not be read, with the reason
    missing: tuple[str, ...]  # what could not be had, in sentences

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read all that there is; where there is no run at all it fails."""
        if not (folder / CONFIG).is_file() and not (folder / METRICS).is_file():
            raise UserError(f"{folder} is no run: it has neither {CONFIG} nor {METRICS}.")
        there = _Folder(folder)
        finished = (folder / SUMMARY).is_file()
        evaluated = (folder / EVALUATION).is_file()
        return cls(
            folder=folder,
            finished=finished,
            config=there.read(CONFIG, _yaml, {}),
            summary=there.read(SUMMARY, _object, {}) if finished else {},
            environment=there.read(ENVIRONMENT, _object, {}),
            data=there.read(DATA, _object, {}),
            evaluation=there.read(EVALUATION, _object, {}) if evaluated else {},
            classes=there.read(CLASSES, _texts, ()),
            lines=there.read(METRICS, _measured, ()),
            split=there.read(SPLIT, _parted, ()),
            bad=there.read(BAD, _unreadable, ()),
            missing=tuple(there.missing),
        )

    @property
    def epoch_steps(self) -> int | None:
        """How many updates are a pass over the training pictures."""
        return self._positive("epoch_steps")

    @property
    def steps(self) -> int | None:
        """How many updates the training was to have."""
        return self._positive("steps")

    @property
    def passes(self) -> list[Line]:
        """The metrics of whole passes over the pictures."""
        return [line for line in self.lines if line["val_loss"] is not None or line["val_top1"] is not None]

    def _positive(self, name: str) -> int | None:
        value = self.config.get(name)
        return value if isinstance(value, int) and value > 0 else None


class _Folder:
    """Reads files, and notes which cannot be had."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.missing: list[str] = []

    def read(self, name: str, read: Callable[[Path], Value], otherwise: Value) -> Value:
        path = self.folder / name
        if not path.is_file():
            self.missing.append(f"{name} is not in the run's folder.")
            return otherwise
        try:
            return read(path)
        except (OSError, ValueError, TypeError, yaml.YAMLError):
            self.missing.append(f"{name} cannot be read: it is damaged, or was changed.")
            return otherwise


def _object(path: Path) -> dict[str, Any]:
    return _checked(parse_json(path.read_text(encoding="utf-8")))


def _yaml(path: Path) -> dict[str, Any]:
    return _checked(yaml.load(path.read_text(encoding="utf-8"), PlainLoader))  # noqa: S506 - a safe loader


def _checked(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(value)
    return value


def _texts(path: Path) -> tuple[str, ...]:
    found = parse_json(path.read_text(encoding="utf-8"))
    if not isinstance(found, list):
        raise TypeError(found)
    return tuple(map(str, found))


def _parted(path: Path) -> tuple[Row, ...]:
    return tuple(read_rows(path, ("path", "label", "split"), ("group",)))


def _unreadable(path: Path) -> tuple[Row, ...]:
    return tuple(read_rows(path, ("path", "reason")))


def _measured(path: Path) -> tuple[Line, ...]:
    lines = [
        {name: measurement(value.get(name)) for name in ("epoch", "step", *MEASURED)}
        for value in read_metrics(path.parent)
    ]
    return tuple(line for line in lines if line["epoch"] is not None and line["step"] is not None)


def measurement(value: Any) -> float | None:
    """Return what can be drawn: a number that is neither huge nor tiny beyond reason, or None."""
    if not isinstance(value, (int, float)) or not abs(value) < HUGE:
        return None
    return float(value) if abs(value) > 1 / HUGE else 0.0
