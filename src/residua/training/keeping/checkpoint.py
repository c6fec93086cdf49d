"""Checkpoints: the state of a training as one file with a checksum; the newest whole one is found again."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from residua.errors import UserError
from residua.text import parse_json
from residua.weights.tensorfile import (
    KEY,
    KINDS,
    is_whole,
    open_safely,
    read_into,
    stated_digest,
    stated_tensors,
    write,
)

VERSION = 1
KEPT = 2


@dataclass(frozen=True)
class Found:
    """A whole checkpoint, what it says beside its tensors, and why newer ones were passed over."""

    path: Path
    step: int
    facts: dict[str, Any]
    damaged: tuple[str, ...] = ()


def save(folder: Path, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
    """Write the checkpoint of a step, whole or not at all; then it and the one before it are kept.

    A later one in the folder goes too: it was passed over, or the training went back behind it.
    """
    path = folder / f"{step}.safetensors"
    said = {"checkpoint": VERSION, "step": step, "facts": facts}
    write(path, tensors, json.dumps(said, separators=(",", ":")))
    earlier = [number for number in _steps(folder) if number <= step]
    for number in set(_steps(folder)) - set(earlier[:KEPT]):
        with contextlib.suppress(OSError):  # what cannot be removed does no harm
            (folder / f"{number}.safetensors").unlink()
    return path


def newest(folder: Path) -> Found | None:
    """Return the whole checkpoint of the highest step; None where there is none at all."""
    damaged: list[str] = []
    for step in _steps(folder):
        path = folder / f"{step}.safetensors"
        try:
            return Found(path, step, _facts(path, step), tuple(damaged))
        except UserError as error:
            damaged.append(str(error))
    if damaged:
        raise UserError(f"no checkpoint in {folder} is whole, so begin a new run: {damaged[0]}")
    return None


def read(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a checkpoint, and hold them against its checksum in the same pass."""
    with open_safely(path) as file:
        stated = stated_tensors(file)
    tensors = {name: torch.empty(shape, dtype=KINDS[kind]) for name, (shape, kind) in stated.items()}
    if not read_into(path, tensors):
        raise _damaged(path)
    return tensors


def expect(path: Path, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Fail unless what a checkpoint held has the names, shapes and types of what it is for."""
    if odd := sorted(found.keys() ^ wanted.keys()):
        verb = "lacks" if odd[0] in wanted else "has an unknown"
        raise UserError(
            f"{path} {verb} tensor {odd[0]!r} ({len(odd)} in all): the run's settings were changed."
        )
    for name, tensor in wanted.items():
        have, need = ((tuple(each.shape), each.dtype) for each in (found[name], tensor))
        if have != need:
            raise UserError(f"{path} has {name!r} as {have}, the run's settings ask for {need}.")


def _steps(folder: Path) -> list[int]:
    """Steps of which there is a checkpoint, the newest first: by name, for clocks jump."""
    names = (re.fullmatch(r"(0|[1-9][0-9]*)\.safetensors", path.name) for path in folder.iterdir())
    return sorted((int(name[1]) for name in names if name), reverse=True)


def _facts(path: Path, step: int) -> dict[str, Any]:
    """Hold a whole checkpoint against its checksum, and return what it says."""
    with open_safely(path) as file:
        stated = file.metadata() or {}
        known = all(each.kind in KINDS for each in stated_tensors(file).values())
    try:
        whole = known and stated_digest(stated) != "" and is_whole(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if not whole:
        raise _damaged(path)
    try:
        said = parse_json(stated[KEY])
        of, facts = (said["checkpoint"], said["step"]), dict(said["facts"])
    except (ValueError, KeyError, TypeError):
        raise _damaged(path) from None
    if of != (VERSION, step):
        raise UserError(f"{path} is no checkpoint of step {step} of this version of Residua.")
    return facts


def _damaged(path: Path) -> UserError:
    return UserError(f"{path} is damaged: its content does not have the checksum it states.")
