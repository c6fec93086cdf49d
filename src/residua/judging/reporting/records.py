"""What a run's folder says of itself; whatever is missing or damaged is left out, and said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import yaml

from residua.data.sources.table import read_rows
from residua.errors import UserError

BEST, EVALUATION, DATA, CLASSES = "best.safetensors", "evaluation.json", "data.json", "classes.json"
CONFIG, SUMMARY, ENVIRONMENT = "config.yaml", "summary.json", "env.json"
METRICS, SPLIT, BAD = "metrics.jsonl", "split.csv", "bad_images.csv"
MEASURED = ("train_loss", "lr", "images_per_second", "val_loss", "val_top1", "val_top5", "val_macro_f1")
HUGE = 1e12  # no measurement is as large, nor its inverse
Line = dict[str, float | None]
Row = dict[str, str]
Value = TypeVar("Value")


@dataclass
class Records:
    """The files of one run, each read when it is asked for; `missing` says what could not be had."""

    folder: Path
    missing: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Fail where there is no run at all."""
        if not (self.folder / CONFIG).is_file() and not (self.folder / METRICS).is_file():
            raise UserError(f"{self.folder} is no run: it has neither {CONFIG} nor {METRICS}.")

    @property
    def finished(self) -> bool:
        """Whether the training is over: its summary is written last."""
        return (self.folder / SUMMARY).is_file()

    @cached_property
    def config(self) -> dict[str, Any]:
        """All settings."""
        return self._read(CONFIG, _yaml, {})

    @property
    def epoch_steps(self) -> int | None:
        """How many updates are a pass over the training pictures."""
        return self._positive("epoch_steps")

    @property
    def steps(self) -> int | None:
        """How many updates the training was to have."""
        return self._positive("steps")

    def _positive(self, name: str) -> int | None:
        value = self.config.get(name)
        return value if isinstance(value, int) and value > 0 else None

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What the training came to."""
        return self._read(SUMMARY, _object, {}) if self.finished else {}

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Versions and machine."""
        return self._read(ENVIRONMENT, _object, {})

    @cached_property
    def data(self) -> dict[str, Any]:
        """What the check found before the training."""
        return self._read(DATA, _object, {})

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """The best model's evaluation, as the training left it; before its end there is none."""
        return self._read(EVALUATION, _object, {}) if (self.folder / EVALUATION).is_file() else {}

    @cached_property
    def classes(self) -> list[str]:
        """The classes, in the order of the network's outputs."""
        return self._read(CLASSES, _texts, [])

    @cached_property
    def lines(self) -> list[Line]:
        """The metrics, less what is no number."""
        return self._read(METRICS, _metrics, [])

    @property
    def passes(self) -> list[Line]:
        """The metrics of whole passes over the pictures."""
        return [line for line in self.lines if line["val_loss"] is not None or line["val_top1"] is not None]

    @cached_property
    def split(self) -> list[Row]:
        """Every picture with its label and its part."""
        return self._read(
            SPLIT, lambda path: list(read_rows(path, ("path", "label", "split"), ("group",))), []
        )

    @cached_property
    def bad(self) -> list[Row]:
        """The pictures that could not be read, with the reason."""
        return self._read(BAD, lambda path: list(read_rows(path, ("path", "reason"))), [])

    def _read(self, name: str, read: Callable[[Path], Value], otherwise: Value) -> Value:
        path = self.folder / name
        if not path.is_file():
            self.missing.append(f"{name} is not in the run's folder.")
            return otherwise
        try:
            return read(path)
        except (OSError, ValueError, TypeError, KeyError, RecursionError, yaml.YAMLError):
            self.missing.append(f"{name} cannot be read: it is damaged, or was changed.")
            return otherwise


def _object(path: Path) -> dict[str, Any]:
    return _checked(json.loads(path.read_text(encoding="utf-8")))


def _yaml(path: Path) -> dict[str, Any]:
    return _checked(yaml.safe_load(path.read_text(encoding="utf-8")))


def _checked(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(value)
    return value


def _texts(path: Path) -> list[str]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, list):
        raise TypeError(found)
    return [str(each) for each in found]


def _metrics(path: Path) -> list[Line]:
    """Read the lines; a last one that is being written, or that a crash tore, is left out."""
    *lines, _ = path.read_bytes().split(b"\n")
    values = [_checked(json.loads(line)) for line in lines]
    return [
        {name: _number(value.get(name)) for name in ("epoch", "step", *MEASURED)}
        for value in values
        if _number(value.get("epoch")) is not None and _number(value.get("step")) is not None
    ]


def _number(value: Any) -> float | None:
    if not isinstance(value, (int, float)) or not abs(value) < HUGE:
        return None
    return float(value) if abs(value) > 1 / HUGE else 0.0
