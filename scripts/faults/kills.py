"""F1: SIGKILL, at random moments and at each system call with which something is saved."""

from __future__ import annotations

import random
import re
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.arena import Arena, digits_folder
from faults.outcome import Outcome, must
from faults.process import Ended, Trainer, contents, resuming, struck
from faults.syscalls import can_trace

LATEST = 0.7  # seconds after the first change of the folder
STARTING = 0.2  # share of the kills while it starts
BEGINNING = ("check", "measuring", "begin")  # what goes before the first update


@dataclass(frozen=True)
class Variant:
    """A kind of training that is killed at random moments."""

    what: str
    minutes: float  # between checkpoints, beside the one after each pass
    share: float  # of the kills
    settings: dict[str, Any] = field(default_factory=dict)
    files: bool = False  # pictures from files


VARIANTS = (
    Variant("saving after each step", 0.0, 0.5),
    Variant("saving after each pass", 5.0, 0.5),
    Variant("computing on two threads", 0.0, 0.1, {"threads": 2}),
    Variant("packing pictures of files", 0.0, 0.1, {"packed": 8}, files=True),
    Variant("compiled", 0.0, 0.1, {"compiled": True}),
)


def kills(base: Path, count: int) -> Iterator[Outcome]:
    """Kill trainings at random moments, again and again, each resumed until it is at its end."""
    for variant in VARIANTS:
        killed = Outcome("F1 SIGKILL", f"at random moments, {variant.what}")
        if variant.settings.get("compiled") and not (shutil.which("g++") or shutil.which("clang++")):
            yield killed.left_out("a C++ compiler")
            continue
        data = digits_folder(base) if variant.files else "digits"
        settings, minutes = variant.settings, variant.minutes
        arena = Arena(base, passes=8, pass_steps=10, minutes=minutes, data=data, settings=settings)
        yield from _killed_until_the_end(arena, max(1, round(count * variant.share)), killed)


def _killed_until_the_end(arena: Arena, count: int, killed: Outcome) -> Iterator[Outcome]:
    ended = Outcome("F1 SIGKILL", killed.injected.replace("at random moments", "after these to the end"))
    draw = random.Random(count)
    while killed.tried < count:
        with arena.run() as folder:
            while killed.tried < count and not _finished(folder):
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


def kills_at_the_start(base: Path, count: int) -> Iterator[Outcome]:
    """Kill trainings that have not begun yet: the same command, or resuming, must come to the same."""
    arena = Arena(base, passes=2, pass_steps=2, minutes=0.0)
    outcome = Outcome("F1 SIGKILL", "while pictures are checked, while measuring, just begun")
    for where in BEGINNING:
        with outcome.trial():
            folder = arena.new()
            killed(Trainer(struck(where, 1, "SIGKILL", arena.starting(folder))).wait())
            arena.again(folder)
            outcome.saw("bit-identical")
    yield outcome
    for kind in ("fsync", "rename"):
        outcome = Outcome("F1 SIGKILL", f"at calls of {kind} with which a run is begun")
        if not can_trace():
            yield outcome.left_out("strace")
            continue
        folder = arena.new()
        numbers = _calls(arena.starting(folder), kind, folder, until="config.yaml")
        for number in _some(numbers, count):
            with outcome.trial():
                folder = arena.new()
                killed(traced(arena.starting(folder), f"inject={kind}:signal=KILL:when={number}"))
                arena.again(folder)
                outcome.saw("bit-identical")
        yield outcome


def kills_in_saves(base: Path, count: int) -> Iterator[Outcome]:
    """Kill a training at each sync, rename and removal that it makes, and at many of its writes."""
    if not can_trace():
        yield Outcome("F1 SIGKILL", "at system calls").left_out("strace")
        return
    arena = Arena(base, passes=2, pass_steps=2, minutes=0.0)
    for kind in ("fsync", "rename", "unlink", "write"):
        with arena.run() as folder:
            numbers = _calls(resuming(folder), kind, folder)
        chosen = _some(numbers, count)
        outcome = Outcome("F1 SIGKILL", f"at {len(chosen)} of a run's {len(numbers)} calls of {kind}")
        for number in chosen:
            with outcome.trial(), arena.run() as folder:
                killed(traced(resuming(folder), f"inject={kind}:signal=KILL:when={number}"))
                arena.intact(folder)
                arena.same(folder)
                outcome.saw("bit-identical")
        yield outcome


def killed(ended: Ended) -> None:
    """Make sure that a process was."""
    was = ended.code in (-signal.SIGKILL, 128 + signal.SIGKILL)  # the latter is strace's
    must(was, f"exit {ended.code}, not killed: {ended.said[-300:]}")


def traced(command: Sequence[object], *expressions: str, log: str = "/dev/null") -> Ended:
    """Train under strace."""
    options = [option for expression in expressions for option in ("-e", expression)]
    before = ["strace", "-f", "-y", "-s", "0", "--seccomp-bpf", "-o", log, *options]
    return Trainer(command, before).wait()


def _calls(command: Sequence[object], kind: str, folder: Path, until: str | None = None) -> list[int]:
    """Which of its calls of a kind a training makes for its folder, counted from 1, in its main thread."""
    log = folder.with_suffix(".log")
    traced(command, f"trace={kind}", log=str(log))
    lines = [line for line in log.read_text().splitlines() if re.match(rf"\d+ +{kind}\(", line)]
    main = lines[0].split()[0]
    own = [line for line in lines if line.split()[0] == main]
    found = [number for number, line in enumerate(own, 1) if kind == "unlink" or str(folder) in line]
    last = next((number for number, line in enumerate(own, 1) if until and until in line), len(own))
    return [number for number in found if number <= last]


def _some(numbers: list[int], count: int) -> list[int]:
    """Return so many of them at most, from the first to the last."""
    most = min(len(numbers), count)
    return [numbers[place * len(numbers) // most] for place in range(most)]
