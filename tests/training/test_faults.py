"""A short form of scripts/train_faults.py: real processes are killed, stopped and refused a disk."""

import shutil
import signal

import pytest

from faults.arena import Arena
from faults.disks import explained
from faults.endings import stopped
from faults.kills import traced
from faults.outcome import Outcome, WrongError
from faults.process import Trainer, struck
from training.tracing import needs_strace


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    """A training that saves after each step."""
    return Arena(tmp_path_factory.mktemp("arena"), passes=2, pass_steps=10, minutes=0.0)


def test_kills_change_nothing(arena: Arena) -> None:
    with arena.run() as folder:
        for where, when in (("step", 4), ("save", 150), ("judging", 1)):
            ended = Trainer(struck(where, when, "SIGKILL", folder)).wait()
            assert ended.code == -signal.SIGKILL, ended.said
            assert arena.intact(folder) >= 3
        arena.same(folder)


def test_a_signal_within_a_save_stops_and_loses_nothing(arena: Arena) -> None:
    with arena.run() as folder:
        ended = Trainer(struck("save", 3, "SIGTERM", folder)).wait()
        stopped(arena, folder, ended, 143, "SIGTERM")


@needs_strace
def test_a_full_disk_is_said_and_loses_nothing(arena: Arena) -> None:
    with arena.run() as folder:
        explained(traced(folder, "inject=write:error=ENOSPC:when=30"), folder, Outcome("", ""))
        arena.intact(folder)
        arena.same(folder)


def test_a_difference_would_be_seen(arena: Arena) -> None:
    with arena.run() as folder:
        shutil.copytree(arena.whole, folder, dirs_exist_ok=True)
        arena.same(folder)
        max((folder / "state").iterdir(), key=lambda path: int(path.stem)).unlink()
        with pytest.raises(WrongError, match="other weights"):
            arena.same(folder)
