"""A short form of scripts/train_faults.py: real processes are killed, stopped and refused a disk."""

import shutil
from pathlib import Path

import pytest

from faults import disks, syscalls
from faults.arena import Arena, metrics, names
from faults.disks import explained
from faults.endings import checkpoints, hitting_itself, stopped
from faults.kills import BEGINNING, killed, traced
from faults.outcome import Outcome, WrongError
from faults.power import crashes, loads, recording
from faults.process import Trainer, resuming, struck
from faults.volatile import put
from training.needing import needs_strace


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    """A training that saves after each step."""
    base = tmp_path_factory.mktemp("arena")
    return Arena(base, passes=2, pass_steps=10, minutes=0.0, settings={"report": False})


def test_an_arena_is_a_run_as_the_product_begins_it(arena: Arena) -> None:
    assert checkpoints(arena.begun) == [0] and metrics(arena.begun) == []
    assert {"state/pictures.safetensors", "classes.json", "log.txt", "config.yaml"} <= names(arena.begun)


def test_kills_change_nothing(arena: Arena) -> None:
    with arena.run() as folder:
        for where, when in (("step", 4), ("save", 150), ("judging", 1)):
            killed(Trainer(struck(where, when, "SIGKILL", resuming(folder))).wait())
            assert arena.intact(folder) >= 3
        arena.same(folder)


def test_kills_before_the_first_update_change_nothing(arena: Arena) -> None:
    folder = arena.new()
    for where in BEGINNING:  # in this order, each in what the one before has left
        killed(Trainer(struck(where, 1, "SIGKILL", arena.starting(folder))).wait())
        assert (folder / "config.yaml").exists() == (where == "begin")
    arena.again(folder)


def test_a_signal_within_a_save_stops_and_loses_nothing(arena: Arena) -> None:
    with arena.run() as folder:
        stopped(arena, folder, hitting_itself(folder, "save", "SIGTERM"), 143, "SIGTERM")


@needs_strace
def test_a_full_disk_is_said_and_loses_nothing(arena: Arena) -> None:
    with arena.run() as folder:
        ended = traced(resuming(folder), "inject=write:error=ENOSPC:when=30")
        explained(ended, folder, Outcome("", ""))
        arena.intact(folder)
        arena.same(folder)


@needs_strace
def test_whatever_a_loss_of_power_leaves_of_a_run_loads(tmp_path: Path) -> None:
    arena = Arena(tmp_path, passes=1, pass_steps=2, minutes=0.0)
    whole, calls = recording(arena)
    folder, seen, promises = arena.new(), Outcome("", ""), []
    folder.mkdir()
    for states, promise in crashes(whole, calls):
        promises.append(promise)
        for state in states[:: 1 + len(states) // 6]:
            put(folder, state)
            seen.saw(loads(folder, whole, promise))
    assert sorted(set(promises)) == [-1, 0, 1, 2] and len(seen.seen) == 2
    put(folder, states[-1] | {"classes.json": b""})
    with pytest.raises(WrongError, match=r"classes.json is not whole"):
        loads(folder, whole, promise)


def test_what_a_machine_lacks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not syscalls.can_trace() and not disks.can_mount(tmp_path)
    (row,) = disks._read_only(tmp_path)
    assert row.tried == 0 and list(row.seen) == ["LEFT OUT: mount, or the right to use it"]


def test_a_difference_would_be_seen(arena: Arena) -> None:
    with arena.run() as folder:
        shutil.rmtree(folder)
        shutil.copytree(arena.whole, folder)
        arena.same(folder)
        max((folder / "state").glob("[0-9]*"), key=lambda path: int(path.stem)).unlink()
        with pytest.raises(WrongError, match="other weights"):
            arena.same(folder)
