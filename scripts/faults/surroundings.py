"""F10: many at once; F11: hardly any shared memory; F12: a clock that jumps."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from faults.arena import Arena, digits_folder
from faults.endings import checkpoints
from faults.outcome import Outcome, WrongError, must
from faults.process import Ended, Trainer, contents, resuming
from residua.judging.runfiles import ENVIRONMENT
from residua.training.keeping.run import Run

SHARED = "/dev/shm"  # noqa: S108 - no file is made there
ASKING = Path(__file__).with_name("asking.py")
PROMPT = 2  # seconds in which a loser has to leave
SHIM = Path(__file__).with_name("shim.c")
JUMPS = "import time; t = [time.time() for _ in range(2)]; raise SystemExit(abs(t[0] - t[1]) < 8e4)"


def crowd(base: Path, count: int) -> Iterator[Outcome]:
    """Start many trainings into one folder at once, and resume one that is at work."""
    outcome = Outcome("F10 two writers", f"{2 * count} starts into one folder")
    with outcome.trial():
        folder = base / "crowded"
        quick = ["--epochs", "2", "--limit", "64", "--batch", "16", "--out", folder]
        trainers = [Trainer([ASKING, "train", "digits", *quick]) for _ in range(2 * count)]
        ended = [trainer.wait() for trainer in trainers]
        winners = [t.process.pid for t, end in zip(trainers, ended, strict=True) if end.code == 0]
        must(len(winners) == 1, f"{len(winners)} have won")
        losers = [end for end in ended if end.code != 0]
        slowest = max(_turned_away(end, winners[0]) for end in losers)
        must(slowest <= PROMPT, f"a loser took {slowest:.1f} s")
        named = sum("being used" in end.said for end in losers)
        outcome.saw(f"one wins, {named} are told its process; the slowest left {slowest:.2f} s after asking")
        must(not list(folder.rglob(".*")), "stray files")
    yield outcome
    yield _beside(Arena(base, passes=8, pass_steps=10, minutes=5.0))


def _turned_away(ended: Ended, winner: int) -> float:
    """Hold a loser to one sentence and exit code 2; return its seconds since it asked for the lock."""
    told = rf"being used by process {winner}:|is not empty, and a run is never overwritten"
    must(ended.code == 2 and bool(re.search(told, ended.said)), f"exit {ended.code}, said {ended.said!r}")
    asked = re.search(r"^asked ([\d.]+) s ago, (with|without) torch$", ended.said, re.MULTILINE)
    if asked is None or asked[2] == "with":
        raise WrongError(f"torch was imported before the lock was asked for: {ended.said!r}")
    return float(asked[1])


def _beside(arena: Arena) -> Outcome:
    outcome = Outcome("F10 two writers", "resumed while it is at work")
    with outcome.trial(), arena.run() as folder:
        before = contents(folder)
        first = Trainer(resuming(folder))
        first.wait_for(folder, before)
        first.hit(signal.SIGSTOP)  # it must not end before the other has asked
        second = Trainer([ASKING, *resuming(folder)[2:]]).wait()
        first.hit(signal.SIGCONT)
        seconds = _turned_away(second, first.process.pid)
        must(seconds <= PROMPT, f"it took {seconds:.1f} s to turn away")
        arena.same(folder, first.wait())
        outcome.saw(f"turned away in {seconds:.2f} s, told the process; the first is bit-identical")
    return outcome


def shared_memory(base: Path, count: int) -> Iterator[Outcome]:  # noqa: ARG001 - as the others
    """Train with 8 MB of shared memory, on pictures that threads decode: it needs none."""
    outcome = Outcome("F11 shared memory", "8 MB of it")
    mount = f'mount -t tmpfs -o size=8m none {SHARED} && exec "$@"'
    before = ["unshare", "-m", "sh", "-c", mount, "sh"]
    tried = [*before, "true"]
    if not shutil.which("unshare") or subprocess.run(tried, capture_output=True, check=False).returncode:
        yield outcome.left_out("unshare and mount, or the right to use them")
        return
    arena = Arena(base, passes=2, pass_steps=10, minutes=5.0, data=digits_folder(base))
    with outcome.trial(), arena.run() as folder:
        arena.same(folder, Trainer(resuming(folder), before).wait())
        outcome.saw("bit-identical: there are no worker processes")
    yield outcome


def clock(base: Path, count: int) -> Iterator[Outcome]:  # noqa: ARG001 - as the others
    """Let the clock jump by a day, forth and back, at every look at it; and confuse the files' times."""
    yield _newest_run(base)
    outcome = Outcome("F12 clock", "jumps a day at every look; older checkpoint has the newer time")
    library = base / "shim.so"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        yield outcome.left_out("a C compiler")
        return
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, SHIM, "-ldl"], check=True)
    must(Trainer(["-c", JUMPS], LD_PRELOAD=str(library)).wait().code == 0, "the clock does not jump")
    arena = Arena(base, passes=8, pass_steps=10, minutes=5.0)
    with outcome.trial(), arena.run() as folder:
        before = contents(folder)
        trainer = Trainer(resuming(folder), LD_PRELOAD=str(library))
        while len(checkpoints(folder)) < 2 and trainer.process.poll() is None:
            trainer.wait_for(folder, before)
            before = contents(folder)
        trainer.hit(signal.SIGKILL)
        trainer.wait()
        os.utime(folder / "state" / f"{min(checkpoints(folder))}.safetensors", (4e9, 4e9))
        arena.intact(folder)
        arena.same(folder, Trainer(resuming(folder), LD_PRELOAD=str(library)).wait())
        outcome.saw("the newest by step was found, bit-identical")
    yield outcome


def _newest_run(base: Path) -> Outcome:
    outcome = Outcome("F12 clock", "a run that began while it was days ahead, and a later one")
    with outcome.trial():
        runs = base / "clock"
        for name, started in (("first", "2999"), ("second", "2026")):
            with Run.create(runs, name) as run:
                run.begin({})
                facts = json.loads((run.folder / ENVIRONMENT).read_text())
                run.write_json(ENVIRONMENT, facts | {"started": started})
        with Run.newest_unfinished(runs) as found:
            must(found.folder.name == "second", "the run that began first was taken for the newest")
        outcome.saw("the later one is the newest")
    return outcome
