"""Metrics: one line of JSON for each thing that was measured, on the disk before the training goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from residua.errors import UserError
from residua.files import sync_folder
from residua.judging.runfiles import METRICS
from residua.text import finite


def append_metrics(folder: Path, values: Mapping[str, Any]) -> int:
    """Append a line and wait until it is on the disk; return the file's length for the checkpoint to state.

    A number that is not finite is written as null, which every reader of JSON knows.
    """
    path = folder / METRICS
    try:
        with path.open("ab") as file:
            file.write(json.dumps(finite(values)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            return file.tell()
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from None


def cut_metrics(folder: Path, length: int) -> bool:
    """Forget the lines behind the length that a checkpoint stated: they will be written again.

    Return whether all before it are there.
    """
    path = folder / METRICS
    try:
        with path.open("ab") as file:
            kept = path.read_bytes()[:length]
            file.truncate(kept.rfind(b"\n") + 1)
            os.fsync(file.fileno())
            sync_folder(folder)  # its name too: checkpoints will count on it
            return len(kept) == length
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from None
