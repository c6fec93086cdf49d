"""The folder of a run: made once, held by one process, and never overwritten."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import Any, Self

from residua.errors import UserError
from residua.files import BusyError, check_unlinked, locked, sweep, write_text
from residua.judging.runfiles import CLASSES, CONFIG, ENVIRONMENT, LOG, SPLIT, SUMMARY
from residua.text import finite, parse_json
from residua.training.asking.configfile import read_config, write_config
from residua.training.keeping.environment import changes, environment
from residua.training.keeping.folder import (
    BEFORE,
    BEGAN,
    IN_STATE,
    LOCK,
    MARK,
    STATE,
    NotEmptyError,
    begun_when,
    check_free,
    is_beginning,
    is_complete,
    make,
    next_number,
    said,
    unfinished,
)

RESULT = {"spec", "preprocessing", "recipe", "seed", "split_seed", "val", "max_bad", "limit", "steps"}
RESULT |= {"epoch_steps", "precision", "packed"}
BITS = {"device", "threads", "channels_last", "compiled", "checkpointing", "deterministic"}


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
        """Make base/NAME, or base/NAME-2 and so on where that exists, and hold it.

        One that was killed before its training began is begun again.
        """
        if not re.fullmatch(r"\w[\w.+-]{0,99}", name):
            raise UserError(f"{name!r} cannot name a run: use letters, digits and . _ + - only.")
        for each in chain([name], (f"{name}-{number}" for number in count(2))):
            with contextlib.suppress(FileExistsError, BusyError, NotEmptyError):
                make(base / each, anew=not is_beginning(base / each))
                return cls._entered(base / each)
        raise AssertionError  # names do not end

    @classmethod
    def create_at(cls, folder: Path) -> Self:
        """Make a folder, or take an empty one, and hold it; whatever is in a folder stays."""
        make(folder, anew=False)
        return cls._entered(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Hold a run that was begun, and remove what a killed process left half written."""
        if not (folder / CONFIG).is_file() and not is_beginning(folder):
            raise UserError(f"{folder} is no run: it has no {CONFIG}.")
        with contextlib.ExitStack() as held:
            held.enter_context(_held(folder))
            if not (folder / CONFIG).is_file():
                raise UserError(
                    f"{folder} was ended before its training began, so there is nothing to resume: "
                    f"`residua train DATA --out {folder}` begins it again."
                )
            make(folder / STATE, anew=False)
            for place in (folder, folder / STATE):
                check_unlinked(place)
                sweep(place)
            run = cls(folder, held)
            run._unmark()
            run._held = held.pop_all()
            return run

    @classmethod
    def newest_unfinished(cls, base: Path) -> Self:
        """Hold the run that was begun last, of those that are not finished and that nobody holds."""
        begun = sorted((begun_when(folder), folder) for folder in unfinished(base))
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
            run = cls(folder, held)
            run._take()
            run._held = held.pop_all()
            return run

    def _take(self) -> None:
        """Begin in a folder; what a killed process began there goes, anything else is an error, and stays."""
        check_free(self.folder)
        if is_beginning(self.folder):
            self._clear()
        check_free(self.folder)  # what is left is somebody else's
        self.write_json(MARK, {})
        make(self.state, anew=False)

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
        number = next_number(self.folder.parent)
        self.write_json(ENVIRONMENT, environment())
        began = {"folder": str(Path.cwd()), "number": number, "settings": settings}
        self.write_json(f"{STATE}/{BEGAN}", began | {"digests": self._digests()})
        self.write_settings(settings)
        self._unmark()

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write the settings that a training obeys."""
        write_config(self.folder / CONFIG, settings)

    def settings(self) -> dict[str, Any]:
        """Return what `begin` wrote."""
        return read_config(self.folder / CONFIG)

    @property
    def begun_in(self) -> Path:
        """The folder that relative names in the settings begin at."""
        with contextlib.suppress(UserError, KeyError, TypeError):
            return Path(self.read_json(f"{STATE}/{BEGAN}")["folder"])
        return Path.cwd()

    def elsewhere(self) -> list[str]:
        """Say in what this machine is not the one that the run was begun on."""
        with contextlib.suppress(UserError):
            return changes(self.read_json(ENVIRONMENT), environment())
        return []

    def edited(self, settings: Mapping[str, Any]) -> list[str]:
        """Say in what settings differ in their last bits from those that the run began with.

        Settings that would make another training of it are an error.
        """
        digests = said(self.state / BEGAN, "digests")
        now = self._digests()
        for name, digest in digests.items() if isinstance(digests, dict) else ():
            if now.get(name) != digest:
                raise UserError(
                    f"{self.folder / name} was changed: put it back as it was to go on with this run."
                )
        then = said(self.state / BEGAN, "settings")  # of older runs unknown
        if not isinstance(then, dict):
            return []
        before, after = _plainly(then), _plainly(settings)
        both = [name for name in after if name in before and before[name] != after[name]]
        odd = {name: f"{name} was {before[name]} and is {after[name]}" for name in both}
        for name, sentence in odd.items():
            if name.partition(".")[0] in RESULT:
                raise UserError(
                    f"{self.folder / CONFIG} was changed: {sentence}. Put that back to go on with this run, "
                    f"or begin another with `residua train -c {self.folder / CONFIG}`."
                )
        return [sentence for name, sentence in odd.items() if name in BITS]

    def _digests(self) -> dict[str, str]:
        """Return digests of what says which pictures are learned from, as what; "" of one that is gone."""
        found = dict.fromkeys((SPLIT, CLASSES), "")
        for name in found:
            with contextlib.suppress(FileNotFoundError):
                found[name] = hashlib.blake2b((self.folder / name).read_bytes(), digest_size=16).hexdigest()
        return found

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the summary: the run is over."""
        self.write_json(SUMMARY, summary)

    @property
    def begun(self) -> bool:
        """Whether there are settings, so that it can be resumed."""
        return (self.folder / CONFIG).exists()

    def abandon(self, whole: bool) -> None:
        """Remove what was written before the settings, let others in, and remove the folder if empty."""
        self._clear()
        self.close()
        if whole:
            with contextlib.suppress(OSError):  # somebody else may have put something into it
                self.folder.rmdir()

    def _clear(self) -> None:
        """Remove what is written before the settings, and nothing else."""
        for place in (self.folder, self.state):
            sweep(place)
        ours = [self.folder / name for name in BEFORE]
        if self.state.is_dir():
            ours += [path for path in self.state.iterdir() if IN_STATE.fullmatch(path.name)]
        for path in ours:
            with contextlib.suppress(OSError):  # what is not there, or stays
                path.unlink()
        with contextlib.suppress(OSError):  # there may be something of somebody else's in it
            self.state.rmdir()
        self._unmark()

    def _unmark(self) -> None:
        (self.folder / MARK).unlink(missing_ok=True)

    @property
    def finished(self) -> bool:
        """Whether there is a summary."""
        return (self.folder / SUMMARY).exists()

    @property
    def complete(self) -> bool:
        """Whether it is finished, and has its report if it wants one."""
        return is_complete(self.folder)

    def write_json(self, name: str, value: object, indent: int | None = 2) -> None:
        """Write a file of the run, whole or not at all."""
        text = json.dumps(finite(value), indent=indent, ensure_ascii=False, allow_nan=False)
        write_text(self.folder / name, f"{text}\n")  # whose escapes are JSON's too

    def read_json(self, name: str) -> Any:
        """Read a file of the run."""
        path = self.folder / name
        try:
            return parse_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from None
        except ValueError:
            raise UserError(f"{path} is not valid JSON: it was changed.") from None

    def log(self, text: str) -> None:
        """Append to the log, each line with the time."""
        path, now = self.folder / LOG, datetime.now(UTC)
        try:
            with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.writelines(f"{now:%Y-%m-%d %H:%M:%S} {line}\n" for line in text.splitlines())
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror}.") from None


def _plainly(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Spell settings as JSON has them, those of a part by their names within it."""
    plain: dict[str, Any] = {}
    for name, value in json.loads(json.dumps(settings)).items():
        parts = value.items() if isinstance(value, dict) else ()
        plain |= {f"{name}.{part}": each for part, each in parts} or {name: value}
    return plain


def _held(folder: Path) -> contextlib.AbstractContextManager[None]:
    return locked(folder / LOCK, folder, "being used")
