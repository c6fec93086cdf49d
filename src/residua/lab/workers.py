"""Trials carried out by processes of their own, several at once."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Self, cast

from residua.lab.trials import Trial

GRACE = 60  # seconds in which a worker saves what it has


@dataclass(frozen=True)
class Task:
    """A trial, what is to be measured of it, and where."""

    trial: Trial
    run: Path
    data: str
    measurements: tuple[str, ...]
    device: str

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, for another process."""
        return vars(self) | {"trial": self.trial.to_dict(), "run": os.fspath(self.run)}


@dataclass(frozen=True)
class Word:
    """What is heard of a task: that it moves, or how it ended."""

    task: Task
    kind: Literal["moved", "well", "failed", "busy", "died"]
    share: float = 0.0
    reason: str = ""


class Worker:
    """One process, and the thread that listens to it."""

    def __init__(self, words: queue.Queue[tuple[Worker, Word]]) -> None:
        self._words = words
        self._task: Task | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "residua.lab.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is the sweep's: it ends its workers itself
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def give(self, task: Task) -> None:
        """Hand over a task."""
        self._task = task
        with suppress(BrokenPipeError):  # it died, and its listener says so
            self._to.write(json.dumps(task.as_json()) + "\n")
            self._to.flush()

    @property
    def alive(self) -> bool:
        """Whether it may be given a task."""
        return self._process.poll() is None

    def close(self) -> None:
        """Let it save what it has, and end."""
        with suppress(BrokenPipeError):
            self._to.close()

    def wait(self) -> None:
        """Wait until it has ended."""
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()

    @property
    def _to(self) -> IO[str]:
        return cast("IO[str]", self._process.stdin)

    def _listen(self) -> None:
        with cast("IO[str]", self._process.stdout) as answers:
            for line in answers:
                self._heard(json.loads(line))
        code = self._process.wait()
        if self._task is not None:
            self._words.put((self, Word(self._task, "died", 0.0, _ended_with(code))))

    def _heard(self, said: dict[str, Any]) -> None:
        task = self._task
        if task is None:
            return
        if "ended" in said:
            self._task = None
            self._words.put((self, Word(task, said["ended"], 1.0, said.get("reason", ""))))
        else:
            self._words.put((self, Word(task, "moved", said["step"] / max(1, said["steps"]))))


def _ended_with(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        return f"its process ended with code {code}"
    advice = ": if there was no memory left, fewer --jobs need less" if code == -signal.SIGKILL else ""
    return f"its process was ended by {signal.Signals(-code).name}{advice}"


class Workers:
    """Some processes that carry out tasks; within `with`, and none is left behind it."""

    def __init__(self, count: int) -> None:
        self._words: queue.Queue[tuple[Worker, Word]] = queue.Queue()
        self._count = count
        self._all: list[Worker] = []
        self._idle: list[Worker] = []

    def __enter__(self) -> Self:
        """Give them."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let them save what they have, and wait for it."""
        for worker in self._all:
            worker.close()
        for worker in self._all:
            worker.wait()

    @property
    def free(self) -> bool:
        """Whether one has nothing to do."""
        return bool(self._idle) or len(self._all) < self._count

    def give(self, task: Task) -> None:
        """Hand a task to one that has nothing to do, and was not ended meanwhile."""
        for worker in [each for each in self._idle if not each.alive]:
            self._idle.remove(worker)
            self._drop(worker)
        if not self._idle:
            self._all.append(Worker(self._words))
            self._idle.append(self._all[-1])
        self._idle.pop().give(task)

    def hear(self) -> Word:
        """Wait for the next word of any."""
        worker, word = self._words.get()
        if word.kind in ("died", "failed"):  # after which a GPU may answer that process with errors only
            self._drop(worker)
        elif word.kind != "moved":
            self._idle.append(worker)
        return word

    def _drop(self, worker: Worker) -> None:
        worker.close()
        worker.wait()
        self._all.remove(worker)
