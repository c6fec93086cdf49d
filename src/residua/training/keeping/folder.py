"""What a folder is to a run: free, one that was begun and killed, begun, finished, or somebody else's."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from residua.errors import UserError
from residua.judging.runfiles import BAD, CLASSES, CONFIG, DATA, ENVIRONMENT, LOG, REPORT, SPLIT, SUMMARY
from residua.text import parse_json
from residua.training.asking.configfile import read_config

STATE, LOCK, BEGAN = "state", ".lock", "began.json"
MARK = ".beginning"  # from before anything else is written until the settings are
BEFORE = {BAD, CLASSES, DATA, ENVIRONMENT, LOG, SPLIT}  # what is written before the settings
IN_STATE = re.compile(r"began\.json|(0|pictures)\.safetensors")  # and below `state`
PART = re.compile(r"\..+\.[0-9a-f]{8}\.part", re.DOTALL)  # half written


class NotEmptyError(UserError):
    """There is something of somebody else's in the folder."""


def check_free(folder: Path) -> None:
    """Fail if a run cannot begin in a folder, as there is something in it, or it is none."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: name a folder for the run.")
    if folder.is_dir() and not is_beginning(folder) and any(_foreign(folder, {LOCK})):
        begun = (folder / CONFIG).is_file() and not (folder / SUMMARY).exists()
        going_on = f", or go on with it: `residua train --resume {folder}`" * begun
        raise NotEmptyError(f"{folder} is not empty, and a run is never overwritten: name another{going_on}.")


def is_beginning(folder: Path) -> bool:
    """Whether all that is in a folder is what a run writes before its settings, and one has begun there."""
    try:
        if not (folder / MARK).is_file() or any(_foreign(folder, {*BEFORE, STATE, LOCK, MARK})):
            return False
        state = folder / STATE
        files = [path.name for path in state.iterdir()] if state.is_dir() else []
    except OSError:  # nobody may look into it
        return False
    return all(IN_STATE.fullmatch(name) or PART.fullmatch(name) for name in files)


def _foreign(folder: Path, ours: set[str]) -> Iterator[Path]:
    """Yield what is in a folder beside files of these names, and such half written."""
    return (path for path in folder.iterdir() if not (path.name in ours or PART.fullmatch(path.name)))


def make(folder: Path, anew: bool) -> None:
    """Make a folder; one that exists is an error if it must be new, and one that is a file always."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder.parent} cannot be made: {error.strerror}.") from None
    try:
        folder.mkdir(exist_ok=not anew)
    except FileExistsError:
        if anew:
            raise
        raise UserError(f"{folder} is a file: name a folder for the run.") from None
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror}.") from None


def unfinished(base: Path) -> Iterator[Path]:
    """Yield the runs below a folder that were begun and not finished, or lack their report."""
    for folder in base.iterdir() if base.is_dir() else ():
        if (folder / CONFIG).is_file() and not _is_over(folder):
            yield folder


def _is_over(folder: Path) -> bool:
    with contextlib.suppress(UserError):  # settings that cannot be read are told to whoever names the run
        return is_complete(folder)
    return True


def is_complete(folder: Path) -> bool:
    """Whether a run is finished, and has its report if it wants one."""
    if not (folder / SUMMARY).exists():
        return False
    return (folder / REPORT).exists() or not read_config(folder / CONFIG).get("report", True)


def begun_when(folder: Path) -> tuple[int, str]:
    """Return when a run was begun: its number, for clocks jump, and the time for those without one."""
    number, started = said(folder / STATE / BEGAN, "number"), said(folder / ENVIRONMENT, "started")
    return number if isinstance(number, int) else 0, str(started or "")


def said(path: Path, name: str) -> object:
    """Return a value of a JSON file, and nothing of one that lacks it."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return parse_json(path.read_text(encoding="utf-8"))[name]
    return None


def next_number(base: Path) -> int:
    """Return a number above those of all runs in a folder."""
    try:
        return 1 + max((begun_when(folder)[0] for folder in base.iterdir()), default=0)
    except OSError:  # a folder that may not be listed
        return 1
