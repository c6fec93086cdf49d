"""F7: numbers that are none; F9: signals, in each part of the work."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from faults.arena import Arena
from faults.outcome import Outcome, WrongError, must
from faults.process import Ended, Trainer, contents, resumed, resuming, struck
from residua.training.keeping.checkpoint import newest, read

SIGNALS = {"SIGTERM": 143, "SIGINT": 130, "SIGINT+SIGINT": 130}
PATIENCE = 30  # seconds that an end may take


def poison(base: Path, count: int) -> Iterator[Outcome]:
    """Make one batch no numbers: the training stops before its update, or leaves it out."""
    arena = Arena(base, passes=4, pass_steps=4, minutes=5.0)
    for name, options in (("stop", []), ("--on-nan skip", ["--on-nan", "skip"])):
        outcome = Outcome("F7 no numbers", f"one batch, {name}")
        for _ in range(max(1, count // 10)):
            with outcome.trial(), arena.run() as folder:
                call = random.Random(outcome.tried).randrange(1, 5)
                ended = Trainer([*struck("batch", call, "nan", resuming(folder)), *options]).wait()
                _finite(folder)
                if not options:
                    _stopped_before(call - 1, folder, ended)
                    arena.same(folder)
                    outcome.saw("named, saved before it, then bit-identical")
                else:
                    must(ended.code == 0 and "Left out" in ended.said, f"said {ended.said[-300:]!r}")
                    outcome.saw("left out, and said so")
        yield outcome


def _stopped_before(step: int, folder: Path, ended: Ended) -> None:
    named = f"step {step + 1} has a loss of nan" in ended.said
    must(ended.code == 2 and named, f"said {ended.said[-300:]!r}")
    found = newest(folder / "state")
    must(found is not None and found.step == step, f"step {step} was not saved")
    must(ended.said.count("\n") <= 3, "more than a sentence")
    log = (folder / "log.txt").read_text()
    must(f"step {step + 1} " in log and "Its pictures: ['" in log, "the pictures are not in the log")


def _finite(folder: Path) -> None:
    for path in folder.rglob("*.safetensors"):
        if path.parent.name == "state":
            found = read(path)
            must(all(bool(each.isfinite().all()) for each in found.values()), f"{path.name} is not finite")


def signals(base: Path, count: int) -> Iterator[Outcome]:
    """Send SIGTERM, Ctrl-C and Ctrl-C twice: within a step, a save and judging, and from outside."""
    arena = Arena(base, passes=8, pass_steps=10, minutes=5.0)
    for what, code in SIGNALS.items():
        outcome = Outcome("F9 signals", what)
        for where in ("step", "save", "judging"):
            with outcome.trial(), arena.run() as folder:
                stopped(arena, folder, hitting_itself(folder, where, what), code, what)
                outcome.saw(f"exit {code}, no process left, then bit-identical")
        if "+" not in what:
            for number in range(max(1, count // 10)):
                with outcome.trial(), arena.run() as folder:
                    stopped(arena, folder, _from_outside(folder, what, number), code, what)
                    outcome.saw(f"exit {code}, no process left, then bit-identical")
        yield outcome


def hitting_itself(folder: Path, where: str, what: str) -> Ended:
    """Let signals come within a part of the work; its seconds are those since then."""
    ended = Trainer(struck(where, 3, what, resuming(folder))).wait()
    hit = re.search(r"^hit ([\d.]+) s ago$", ended.said, re.MULTILINE)
    if hit is None:
        raise WrongError(f"it was not hit, or did not end by itself: {ended.said[-300:]}")
    return replace(ended, seconds=float(hit[1]))


def _from_outside(folder: Path, what: str, number: int) -> Ended:
    before = contents(folder)
    trainer = Trainer(resuming(folder))
    trainer.wait_for(folder, before)
    time.sleep(random.Random(number).random() * 0.5)
    sent = time.monotonic()
    trainer.hit(signal.Signals[what])
    ended = trainer.wait()
    return replace(ended, seconds=time.monotonic() - sent)


def checkpoints(folder: Path) -> list[int]:
    """Return the steps of which there is a checkpoint."""
    return [int(path.stem) for path in (folder / "state").glob("[0-9]*.safetensors")]


def stopped(arena: Arena, folder: Path, ended: Ended, code: int, what: str) -> None:
    """Hold the end of a training that was sent signals to all that it must do; then let it go on."""
    must(ended.code == code, f"{what}: exit {ended.code}: {ended.said[-300:]}")
    must("Traceback" not in ended.said, f"{what}: a traceback")
    must(ended.seconds < PATIENCE, f"{what}: it took {ended.seconds:.0f} s")
    step = arena.intact(folder)
    within = [each for each in checkpoints(folder) if each % arena.interval]
    must(within in ([], [step]), f"{what}: more than one checkpoint: {within}")
    if "+" not in what:
        must(f"stopped at step {step} of" in ended.said, f"{what}: said {ended.said[-300:]!r}")
        must(f"residua train --resume {folder}" in ended.said, f"{what}: how to go on was not said")
    arena.same(folder, resumed(folder))
