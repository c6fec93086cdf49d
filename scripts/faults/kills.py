"""F1: SIGKILL, at random moments and at each system call with which something is saved."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from faults.arena import Arena
from faults.outcome import Outcome, must
from faults.process import Ended, Trainer, contents, resuming

LATEST = 0.7  # seconds after the first change of the folder
STARTING = 0.2  # share of the kills while it starts


def kills(base: Path, count: int) -> Iterator[Outcome]:
    """Kill trainings at random moments, again and again, each resumed until it is at its end."""
    for name, minutes in (("each step", 0.0), ("each pass", 5.0)):
        arena = Arena(base, passes=8, pass_steps=10, minutes=minutes)
        killed = Outcome("F1 SIGKILL", f"at random moments, saving after {name}")
        ended = Outcome("F1 SIGKILL", f"after these, trained to the end, saving after {name}")
        draw = random.Random(count)
        while killed.tried < count / 2:
            with arena.run() as folder:
                while killed.tried < count / 2 and not _finished(folder):
                    with killed.trial():
                        _kill(arena, folder, draw, killed)
                with ended.trial():
                    arena.same(folder)
                    ended.saw("bit-identical")
        yield from (killed, ended)


def _kill(arena: Arena, folder: Path, draw: random.Random, outcome: Outcome) -> None:
    """Go on with a run and kill it, mostly at work: what is on the disk must be whole."""
    before = contents(folder)
    trainer = Trainer(resuming(folder))
    if draw.random() > STARTING:
        trainer.wait_for(folder, before)
    time.sleep(draw.random() * LATEST)
    trainer.hit(signal.SIGKILL)
    ended = trainer.wait()
    must(ended.code in (-signal.SIGKILL, 0), f"exit {ended.code}: {ended.said[-300:]}")
    arena.intact(folder)
    changed = contents(folder) != before
    outcome.saw(
        "finished before" if ended.code == 0 else "killed at work" if changed else "killed at the start"
    )


def _finished(folder: Path) -> bool:
    return (folder / "summary.json").exists()


def kills_in_saves(base: Path, count: int) -> Iterator[Outcome]:
    """Kill a training at each sync, rename and removal that it makes, and at many of its writes."""
    arena = Arena(base, passes=2, pass_steps=2, minutes=0.0)
    for kind in ("fsync", "rename", "unlink", "write"):
        numbers = _numbers(arena, kind)
        most = min(len(numbers), count)
        outcome = Outcome("F1 SIGKILL", f"at {most} of a run's {len(numbers)} calls of {kind}")
        for place in range(most):
            with outcome.trial(), arena.run() as folder:
                number = numbers[place * len(numbers) // most]
                ended = traced(folder, f"inject={kind}:signal=KILL:when={number}")
                must(ended.code in (-signal.SIGKILL, 128 + signal.SIGKILL), f"exit {ended.code}, not killed")
                arena.intact(folder)
                arena.same(folder)
                outcome.saw("bit-identical")
        yield outcome


def traced(folder: Path, *expressions: str, log: str = "/dev/null") -> Ended:
    """Go on with a run under strace."""
    options = [option for expression in expressions for option in ("-e", expression)]
    before = ["strace", "-f", "-y", "-s", "0", "--seccomp-bpf", "-o", log, *options]
    return Trainer(resuming(folder), before).wait()


def _numbers(arena: Arena, kind: str) -> list[int]:
    """Which of its calls of a kind a training makes for its folder, counted from 1, in its main thread."""
    with arena.run() as folder:
        log = folder.with_suffix(".log")
        traced(folder, f"trace={kind}", log=str(log))
        lines = [line for line in log.read_text().splitlines() if re.match(rf"\d+ +{kind}\(", line)]
        log.unlink()
        main = lines[0].split()[0]
        own = [line for line in lines if line.split()[0] == main]
        return [number for number, line in enumerate(own, 1) if kind == "unlink" or str(folder) in line]
