"""The folder of a run: made once, held by one process, and never overwritten."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import Any, Self

from residua.errors import UserError
from residua.files import BusyError, locked, replacing, sweep
from residua.judging.runfiles import CONFIG, ENVIRONMENT, LOG, SUMMARY
from residua.training.asking.configfile import read_config, write_config
from residua.training.keeping.environment import environment

STATE, LOCK = "state", ".lock"


class Run:
    """A run's folder, which no other process enters until this one leaves it, or dies.

    The settings are written after everything else that a new run needs: a folder that has them can be
    resumed, and one with a summary is finished.
    """

    def __init__(self, folder: Path, held: contextlib.ExitStack) -> None:
        self.folder = folder
        self.state = folder / STATE
        self._held = held

    @classmethod
    def create(cls, base: Path, name: str) -> Self:
        """Make base/NAME, or base/NAME-2 and so on where that exists, and hold it."""
        if not re.fullmatch(r"\w[\w.+-]{0,99}", name):
            raise UserError(f"{name!r} cannot name a run: use letters, digits and . _ + - only.")
        for each in chain([name], (f"{name}-{number}" for number in count(2))):
            with contextlib.suppress(FileExistsError, BusyError, _NotEmptyError):
                _make(base / each, anew=True)
                return cls._entered(base / each)
        raise AssertionError  # names do not end

    @classmethod
    def create_at(cls, folder: Path) -> Self:
        """Make a folder, or take an empty one, and hold it; whatever is in a folder stays."""
        _make(folder, anew=False)
        return cls._entered(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Hold a run that was begun, and remove what a killed process left half written."""
        if not (folder / CONFIG).is_file():
            raise UserError(f"{folder} is no run: it has no {CONFIG}.")
        with contextlib.ExitStack() as held:
            held.enter_context(_held(folder))
            _make(folder / STATE, anew=False)
            for place in (folder, folder / STATE):
                sweep(place)
            return cls(folder, held.pop_all())

    @classmethod
    def newest_unfinished(cls, base: Path) -> Self:
        """Hold the run that was begun last, of those that are not finished and that nobody holds."""
        begun = sorted((_begun(folder), folder) for folder in _unfinished(base))
        busy = []
        for _, folder in reversed(begun):
            try:
                return cls.open(folder)
            except BusyError as error:
                busy.append(str(error))
        reason = f" {busy[0]}" if busy else ""
        raise UserError(f"{base} has no run to resume.{reason}")

    @classmethod
    def _entered(cls, folder: Path) -> Self:
        """Hold a new folder, if nobody else has put anything into it."""
        with contextlib.ExitStack() as held:
            held.enter_context(_held(folder))
            if any(path.name != LOCK for path in folder.iterdir()):
                raise _NotEmptyError(f"{folder} is not empty, and a run is never overwritten: name another.")
            _make(folder / STATE, anew=False)
            return cls(folder, held.pop_all())

    def __enter__(self) -> Self:
        """Give the run, to be closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let others in."""
        self.close()

    def close(self) -> None:
        """Let others in."""
        self._held.close()

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Write down where and how this run computes; from here on it can be resumed."""
        self.write_json(ENVIRONMENT, environment())
        write_config(self.folder / CONFIG, settings)

    def settings(self) -> dict[str, Any]:
        """Return what `begin` wrote."""
        return read_config(self.folder / CONFIG)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the summary: the run is over."""
        self.write_json(SUMMARY, summary)

    @property
    def begun(self) -> bool:
        """Whether there are settings, so that it can be resumed."""
        return (self.folder / CONFIG).exists()

    def clear(self, whole: bool) -> None:
        """Remove everything that was written into the folder, or the whole of it."""
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if whole:
            with contextlib.suppress(OSError):  # somebody else may have put something into it
                self.folder.rmdir()

    @property
    def finished(self) -> bool:
        """Whether there is a summary."""
        return (self.folder / SUMMARY).exists()

    def write_json(self, name: str, value: object, indent: int | None = 2) -> None:
        """Write a file of the run, whole or not at all."""
        text = json.dumps(value, indent=indent, ensure_ascii=False)
        with replacing(self.folder / name) as temporary:
            # What UTF-8 cannot hold becomes an escape of JSON's.
            temporary.write_text(f"{text}\n", encoding="utf-8", errors="backslashreplace")

    def log(self, text: str) -> None:
        """Append to the log, each line with the time."""
        path, now = self.folder / LOG, datetime.now(UTC)
        try:
            with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.writelines(f"{now:%Y-%m-%d %H:%M:%S} {line}\n" for line in text.splitlines())
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror}.") from None


class _NotEmptyError(UserError):
    pass


def _held(folder: Path) -> contextlib.AbstractContextManager[None]:
    return locked(folder / LOCK, folder, "being used")


def _make(folder: Path, anew: bool) -> None:
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


def _unfinished(base: Path) -> Iterator[Path]:
    """Yield the runs below a folder that were begun and not finished."""
    for folder in base.iterdir() if base.is_dir() else ():
        if (folder / CONFIG).is_file() and not (folder / SUMMARY).exists():
            yield folder


def _begun(folder: Path) -> str:
    """Return when a run was begun; not by a file's time, which copying changes."""
    try:
        return str(json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8"))["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
