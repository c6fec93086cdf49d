"""F3: disks that are full, fail or cannot be written; F4: checkpoints that were damaged."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faults.arena import Arena
from faults.kills import traced
from faults.outcome import Outcome, WrongError, must
from faults.process import Ended, Trainer, contents, resumed, resuming
from faults.syscalls import can_trace
from residua.errors import UserError
from residua.training.keeping.checkpoint import newest

SMALL = 6 << 20  # bytes
MOUNT = "mount, or the right to use it"
ERRORS = {"write": "ENOSPC", "fsync": "EIO", "rename": "EROFS", "unlink": "EROFS"}
LIMITED = (
    "import resource, runpy, sys\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
    "sys.argv = ['residua', *sys.argv[1:]]\n"
    "runpy.run_module('residua', run_name='__main__')"
)


def disks(base: Path, count: int) -> Iterator[Outcome]:
    """Let saving fail, in every way that there is here."""
    arena = Arena(base, passes=2, pass_steps=2, minutes=0.0)
    yield from _failing_calls(arena, count)
    outcome = Outcome("F3 disk full", "files limited to 50 kB (RLIMIT_FSIZE)")
    with outcome.trial(), arena.run() as folder:
        ended = Trainer(["-c", LIMITED, *resuming(folder)[2:]]).wait()
        explained(ended, folder, outcome)
        arena.intact(folder)
        arena.same(folder)
    yield outcome
    yield from _full_disk(arena)
    yield from _read_only(base)


def _failing_calls(arena: Arena, count: int) -> Iterator[Outcome]:
    for kind, error in ERRORS.items():
        outcome = Outcome("F3 failing disk", f"{error} at calls of {kind}")
        if not can_trace():
            yield outcome.left_out("strace")
            continue
        for number in range(3, 3 + max(1, count // 5)):
            with outcome.trial(), arena.run() as folder:
                ended = traced(resuming(folder), f"inject={kind}:error={error}:when={number}")
                arena.intact(folder)
                if ended.code == 0:
                    outcome.saw("trained to the end all the same")
                    arena.same(folder, ended)
                else:
                    explained(ended, folder, outcome)
                    arena.same(folder)
        yield outcome


def explained(ended: Ended, folder: Path, outcome: Outcome) -> None:
    """Hold a failure to one sentence that names a file of the run, and exit code 2."""
    last = ended.said.strip().splitlines()[-1] if ended.said.strip() else ""
    must(ended.code == 2, f"exit {ended.code}: {ended.said[-300:]}")
    must(str(folder) in last and "Traceback" not in ended.said, f"said {ended.said[-300:]!r}")
    outcome.saw("..." + last.split(folder.name)[-1].lstrip("/"))


def _full_disk(arena: Arena) -> Iterator[Outcome]:
    outcome = Outcome("F3 disk full", "a disk of 6 MB, filled up")
    if not can_mount(arena.base):
        yield outcome.left_out(MOUNT)
        return
    disk = arena.base / "small"
    with mounted(disk, f"-t tmpfs -o size={SMALL} none"), outcome.trial():
        folder, filler = disk / "run", disk / "filler"
        shutil.copytree(arena.begun, folder)
        size = sum(path.stat().st_size for path in arena.whole.rglob("*.safetensors"))
        taken = sum(path.stat().st_blocks * 512 for path in disk.rglob("*"))
        filler.write_bytes(b"." * (SMALL - size // 2 - taken))
        explained(resumed(folder), folder, outcome)
        arena.intact(folder)
        filler.unlink()
        arena.same(folder)
    yield outcome


def can_mount(base: Path) -> bool:
    """Whether there is mount, and it may be used."""
    if not shutil.which("mount"):
        return False
    try:
        with mounted(base / "small", "-t tmpfs none"):
            return True
    except subprocess.CalledProcessError:
        return False


@contextmanager
def mounted(place: Path, *commands: str) -> Iterator[None]:
    """Mount something at a place meanwhile."""
    place.mkdir(exist_ok=True)
    try:
        for command in commands:
            subprocess.run(["mount", *command.split(), str(place)], capture_output=True, check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], capture_output=True, check=False)


def _read_only(base: Path) -> Iterator[Outcome]:
    """Let a folder be read-only, before and during the training; root minds no permissions, but mounts."""
    outcome = Outcome("F3 read-only folder", "the run's before, its state's during the training")
    if not can_mount(base):
        yield outcome.left_out(MOUNT)
        return
    arena = Arena(base, passes=8, pass_steps=10, minutes=0.0)
    for during in (False, True):
        with outcome.trial(), arena.run() as folder:
            before = contents(folder)
            trainer = Trainer(resuming(folder)) if during else None
            if trainer:
                trainer.wait_for(folder, before)
            place = folder / "state" if during else folder
            with mounted(place, f"--bind {place}", "-o remount,bind,ro"):
                ended = trainer.wait() if trainer else resumed(folder)
            explained(ended, folder, outcome)
            arena.intact(folder)
            arena.same(folder)
    yield outcome


def damage(base: Path, count: int) -> Iterator[Outcome]:
    """Truncate the newest checkpoint and flip its bits: each must be seen, and the one before found."""
    arena = Arena(base, passes=2, pass_steps=2, minutes=0.0)
    draw = random.Random(0)
    for how, tries in (("truncated", 2 * count), ("a bit flipped", 20 * count)):
        outcome = Outcome("F4 corruption", f"newest checkpoint {how}")
        with arena.run() as folder:
            shutil.copytree(arena.whole / "state", folder / "state", dirs_exist_ok=True)
            path = folder / "state" / "4.safetensors"
            content = path.read_bytes()
            for _ in range(tries):
                with outcome.trial():
                    path.write_bytes(_damaged(content, how, draw))
                    _falls_back(folder, outcome)
        yield outcome
    outcome = Outcome("F4 corruption", "then trained to the end")
    with outcome.trial(), arena.run() as folder:
        shutil.copytree(arena.whole / "state", folder / "state", dirs_exist_ok=True)
        shutil.copy(arena.whole / "metrics.jsonl", folder)
        shutil.copy(arena.whole / "best.safetensors", folder)
        path = folder / "state" / "4.safetensors"
        path.write_bytes(_damaged(path.read_bytes(), "a bit flipped", draw))
        ended = resumed(folder)
        must("Going back to step 3" in ended.said, f"said {ended.said[:300]!r}")
        arena.same(folder, ended)
        outcome.saw("said so, went back one checkpoint, bit-identical")
    yield outcome


def _falls_back(folder: Path, outcome: Outcome) -> None:
    try:
        found = newest(folder / "state")
    except UserError as error:
        raise WrongError(f"no fall back: {error}") from None
    must(found is not None and found.step == 3 and len(found.damaged) == 1, "damage was not seen")
    outcome.saw("seen, the one before loads")


def _damaged(content: bytes, how: str, draw: random.Random) -> bytes:
    if how == "truncated":
        return content[: draw.randrange(len(content))]
    place = draw.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]
