"""F2: a loss of power at any system call of a training, from its first file to its last."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from faults.arena import Arena
from faults.outcome import Outcome, WrongError, must
from faults.syscalls import Call, can_trace, recorded
from faults.volatile import Disk, put
from residua.errors import UserError
from residua.judging.runfiles import BEST, CLASSES, CONFIG, LAST, METRICS, SPLIT, SUMMARY
from residua.training.keeping.checkpoint import newest, read
from residua.training.pictures.originals import NAME as PICTURES
from residua.weights.tensorfile import is_whole

CHECKPOINT = r".*/state/(\d+)\.safetensors"
FIXED = (CONFIG, SPLIT, CLASSES, f"state/{PICTURES}")  # written once, before the run can be resumed


def power(base: Path, count: int) -> Iterator[Outcome]:
    """Replay what a training tells the disk, up to each call, and what may be left of it then."""
    left = Outcome("F2 power loss", "at each system call, all that may be left by it")
    ends = Outcome("F2 power loss", "of these, trained to the end")
    if not can_trace():
        yield left.left_out("strace")
        return
    arena = Arena(base, passes=2, pass_steps=2, minutes=0.0)
    began, calls = recording(arena)
    draw, folder = random.Random(count), arena.new()
    folder.mkdir()
    chosen = draw.sample(range(len(calls)), max(1, count // 5))
    for number, (states, promise) in enumerate(crashes(began, calls)):
        for state in states:
            with left.trial():
                put(folder, state)
                left.saw(loads(folder, began, promise))
        if number in chosen:
            with ends.trial():
                put(folder, draw.choice(states))
                arena.again(folder)
                ends.saw("bit-identical")
    yield from (left, ends)


def recording(arena: Arena) -> tuple[Path, list[Call]]:
    """Train once from the first file to the last; return the run and what it told the disk."""
    folder = arena.new()
    folder.mkdir()
    return folder, recorded(arena.starting(folder), folder, folder.with_suffix(".log"))


def crashes(folder: Path, calls: Sequence[Call]) -> Iterator[tuple[list[dict[str, bytes]], int]]:
    """Yield for each call what a crash after it may leave, and the step that must not be lost any more."""
    disk = Disk(str(folder), {}, {}, {})
    begun, promised, pending = False, -1, -1
    for call in calls:
        disk.apply(call)
        if call.kind == "rename" and (
            found := re.search(r"/state/(\d+)\.safetensors$", call.content.decode())
        ):
            pending = int(found[1])
        if call.kind == "sync" and call.path == f"{folder}/state":
            promised = pending
        begun = begun or (call.kind == "sync" and f"{folder}/{CONFIG}" in disk.names)
        yield list(disk.after_a_crash()), promised if begun else -1


def loads(folder: Path, whole: Path, promise: int) -> str:
    """Hold what is left of a run to what it must be, and say it; `whole` is the run at its end."""
    if not (folder / CONFIG).exists():
        must(promise < 0, "a run that had begun is gone")
        return "not begun: it can begin again"
    for name in FIXED:
        there = (folder / name).exists() and (folder / name).read_bytes() == (whole / name).read_bytes()
        must(there, f"{name} is not whole, and the run has begun")
    try:
        found = newest(folder / "state")
    except UserError as error:
        raise WrongError(str(error)) from None
    if found is None or found.damaged or found.step < promise:
        raise WrongError(f"step {promise} is lost: {found}")
    read(found.path)
    lines = (folder / METRICS).stat().st_size if (folder / METRICS).exists() else 0
    must(lines >= found.facts["metrics_bytes"], f"metrics of step {found.step} are lost")
    # The best model of the checkpoint's own step is written from it again.
    needed = [BEST] * (0 < found.facts["best_step"] < found.step) + [LAST] * (folder / SUMMARY).exists()
    for name in needed:
        must((folder / name).exists() and is_whole(folder / name), f"{name} is not whole")
    return "loads, nothing promised is lost"
