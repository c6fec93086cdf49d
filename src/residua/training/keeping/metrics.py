"""Metrics: one line of JSON for each thing that was measured, on the disk before the training goes on."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from residua.errors import UserError

NAME = "metrics.jsonl"


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics; a last one that a crash tore is left out."""
    path = folder / NAME
    try:
        *lines, _ = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(_object(line))
        except ValueError:
            if number < len(lines):
                raise UserError(f"line {number} of {path} is not a JSON object: it was changed.") from None
    return found


def append_metrics(folder: Path, values: Mapping[str, Any]) -> int:
    """Append a line and wait until it is on the disk; return the file's length for the checkpoint to state.

    A number that is not finite is written as null, which every reader of JSON knows.
    """
    finite = {name: None if _odd(value) else value for name, value in values.items()}
    path = folder / NAME
    try:
        with path.open("ab") as file:
            file.write(json.dumps(finite).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            return file.tell()
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from None


def cut_metrics(folder: Path, length: int) -> None:
    """Forget the lines behind the length that a checkpoint stated: they will be written again."""
    path = folder / NAME
    try:
        with path.open("ab") as file:
            kept = path.read_bytes()[:length]
            file.truncate(kept.rfind(b"\n") + 1)
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from None


def _object(line: bytes) -> dict[str, Any]:
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError(line)
    return value


def _odd(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
