"""F10: many at once; F11: hardly any shared memory; F12: a clock that jumps; and pictures that go."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from faults.arena import Arena
from faults.outcome import Outcome, must
from faults.process import Ended, Trainer, contents, resumed, resuming
from residua.data.sources.digits import write_folder

SHARED = "/dev/shm"  # noqa: S108 - no file is made there
SHIM = Path(__file__).with_name("shim.c")
JUMPS = "import time; t = [time.time() for _ in range(2)]; raise SystemExit(abs(t[0] - t[1]) < 8e4)"


def crowd(base: Path, count: int) -> Iterator[Outcome]:
    """Start many trainings into one folder at once, and resume one that is at work."""
    outcome = Outcome("F10 two writers", f"{2 * count} starts into one folder")
    with outcome.trial():
        folder = base / "crowded"
        quick = ["--epochs", "2", "--limit", "64", "--batch", "16", "--out", folder]
        trainers = [Trainer(["-m", "residua", "train", "digits", *quick]) for _ in range(2 * count)]
        ended = [trainer.wait() for trainer in trainers]
        winners = [t.process.pid for t, end in zip(trainers, ended, strict=True) if end.code == 0]
        must(len(winners) == 1, f"{len(winners)} have won")
        told = rf"being used by process {winners[0]}:|is not empty, and a run is never overwritten"
        odd = [
            end.said for end in ended if end.code != 0 and not (end.code == 2 and re.search(told, end.said))
        ]
        must(not odd, f"said {odd[:1]}")
        outcome.saw(f"one wins, {sum('being used' in end.said for end in ended)} told its process")
        must(not list(folder.rglob(".*")), "stray files")
    yield outcome
    yield _beside(Arena(base, passes=8, pass_steps=10, minutes=5.0))


def _beside(arena: Arena) -> Outcome:
    outcome = Outcome("F10 two writers", "resumed while it is at work")
    with outcome.trial(), arena.run() as folder:
        before = contents(folder)
        first = Trainer(resuming(folder))
        first.wait_for(folder, before)
        first.hit(signal.SIGSTOP)  # it must not end before the other has asked
        second = resumed(folder)
        first.hit(signal.SIGCONT)
        must(second.code == 2 and f"process {first.process.pid}:" in second.said, f"said {second.said!r}")
        arena.same(folder, first.wait())
        outcome.saw("turned away, told the process; the first is bit-identical")
    return outcome


def shared_memory(base: Path, count: int) -> Iterator[Outcome]:  # noqa: ARG001 - as the others
    """Train with 8 MB of shared memory, on pictures that threads decode: it needs none."""
    outcome = Outcome("F11 shared memory", "8 MB of it")
    arena = _of_files(base, passes=2)
    mount = f'mount -t tmpfs -o size=8m none {SHARED} && exec "$@"'
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        return
    with outcome.trial(), arena.run() as folder:
        arena.same(folder, Trainer(resuming(folder), ["unshare", "-m", "sh", "-c", mount, "sh"]).wait())
        outcome.saw("bit-identical: there are no worker processes")
    yield outcome


def clock(base: Path, count: int) -> Iterator[Outcome]:  # noqa: ARG001 - as the others
    """Let the clock jump by a day, forth and back, at every look at it; and confuse the files' times."""
    outcome = Outcome("F12 clock", "jumps a day at every look; older checkpoint has the newer time")
    library = base / "shim.so"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, SHIM, "-ldl"], check=True)
    must(Trainer(["-c", JUMPS], LD_PRELOAD=str(library)).wait().code == 0, "the clock does not jump")
    arena = Arena(base, passes=8, pass_steps=10, minutes=5.0)
    with outcome.trial(), arena.run() as folder:
        before = contents(folder)
        trainer = Trainer(resuming(folder), LD_PRELOAD=str(library))
        while len(list((folder / "state").glob("[0-9]*"))) < 2 and trainer.process.poll() is None:
            trainer.wait_for(folder, before)
            before = contents(folder)
        trainer.hit(signal.SIGKILL)
        trainer.wait()
        oldest = min((folder / "state").glob("[0-9]*"), key=lambda path: int(path.stem))
        os.utime(oldest, (4e9, 4e9))
        arena.intact(folder)
        arena.same(folder, Trainer(resuming(folder), LD_PRELOAD=str(library)).wait())
        outcome.saw("the newest by step was found, bit-identical")
    yield outcome


def pictures(base: Path, count: int) -> Iterator[Outcome]:
    """Remove or spoil a picture during the training: it is named, and put back nothing is lost."""
    arena = _of_files(base, passes=8)
    for how in ("removed", "emptied", "cut off"):
        outcome = Outcome("pictures", f"one {how} during the training")
        for number in range(max(1, count // 25)):
            with outcome.trial(), arena.run() as folder:
                ended, name = _spoiled(arena, folder, how, number)
                must(ended.code == 2 and name in ended.said, f"said {ended.said[-300:]!r}")
                must(f"`residua train --resume {folder}`" in ended.said, "how to go on was not said")
                arena.intact(folder)
                arena.same(folder)
                outcome.saw("named and saved; put back, bit-identical")
        yield outcome


def _of_files(base: Path, passes: int) -> Arena:
    data = base / "digits"
    if not data.exists():
        write_folder(data)
    return Arena(base, passes=passes, pass_steps=10, minutes=5.0, data=str(data))


def _spoiled(arena: Arena, folder: Path, how: str, number: int) -> tuple[Ended, str]:
    """Spoil a picture that is judged after every pass, once the training is at work, and put it back."""
    rows = (folder / "split.csv").read_text().splitlines()
    names = [row.split(",")[0] for row in rows if row.endswith(",val")]
    picture = Path(arena.data, random.Random(number).choice(names))
    good = picture.read_bytes()
    before = contents(folder)
    trainer = Trainer(resuming(folder))
    trainer.wait_for(folder, before)
    if how == "removed":
        picture.unlink()
    else:
        picture.write_bytes(b"" if how == "emptied" else good[: len(good) // 2])
    ended = trainer.wait()
    picture.write_bytes(good)
    return ended, picture.name
