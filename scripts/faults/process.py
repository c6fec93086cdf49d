"""Trainings in processes of their own: started, watched, hit and waited for."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faults.outcome import must

LIMIT = 600  # seconds that no training of the campaign needs
STRUCK = Path(__file__).with_name("struck.py")
ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}  # no other files, no other sums


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    said: str
    seconds: float


class Trainer:
    """A process that trains, in a group of its own."""

    def __init__(self, arguments: Sequence[object], before: Sequence[str] = (), **environment: str) -> None:
        command = [*before, sys.executable, *map(str, arguments)]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | ENVIRONMENT | environment,
            start_new_session=True,
        )

    def hit(self, number: int) -> None:
        """Send a signal, if it is still there."""
        self.process.send_signal(number)

    def wait(self) -> Ended:
        """Wait for its end, which must leave no process behind."""
        try:
            _, said = self.process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            _, said = self.process.communicate()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
            must(False, "it left processes behind")
        return Ended(self.process.returncode, said, time.monotonic() - self.began)

    def wait_for(self, folder: Path, before: set[tuple[str, int]]) -> None:
        """Wait until it has changed something in a folder, or has ended."""
        while contents(folder) == before and self.process.poll() is None:
            time.sleep(0.005)


def contents(folder: Path) -> set[tuple[str, int]]:
    """Names and sizes of what is in a run's folder, but for the lock."""
    found = set()
    with contextlib.suppress(FileNotFoundError):  # it is not there yet, or a file of it no more
        for path in folder.rglob("*"):
            found.add((path.name, path.stat().st_size))
    return {each for each in found if each[0] != ".lock"}


def resuming(folder: Path) -> list[object]:
    """Go on with a run, as a user does."""
    return ["-m", "residua", "train", "--resume", folder]


def struck(where: str, when: int, what: str, command: list[object]) -> list[object]:
    """Let something happen to a training: see `struck.py`."""
    return [STRUCK, where, when, what, *command[2:]]


def resumed(folder: Path) -> Ended:
    """Go on with a run to its end."""
    return Trainer(resuming(folder)).wait()
