"""A checkpoint survives a kill, a failing disk and a loss of power at each of its system calls."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from faults.syscalls import Call, recorded, run_traced
from faults.volatile import Disk, put
from residua.files import sweep
from residua.training.keeping.checkpoint import newest, read, save
from training.needing import needs_strace

pytestmark = needs_strace

SAVING = """
import sys, torch
from pathlib import Path
from residua.files import sweep
from residua.training.keeping.checkpoint import save
folder = Path(sys.argv[1])
tensors = lambda step: {name: torch.full((5000,), float(step)) for name in "abc"}
"""
ONCE = f"{SAVING}\nsave(folder, 3, tensors(3), {{}})"


def begun(folder: Path) -> Path:
    """A folder in which two checkpoints were saved."""
    folder.mkdir()
    for step in (1, 2):
        save(folder, step, {name: torch.full((5000,), float(step)) for name in "abc"}, {})
    return folder


def step_of(folder: Path) -> int:
    """Load the newest checkpoint, which must be one of the two, with no other passed over."""
    found = newest(folder)
    assert found is not None and found.damaged == ()
    assert all((tensor == found.step).all() for tensor in read(found.path).values())
    return found.step


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> tuple[Disk, list[Call]]:
    """The disk before a save, and what the save does to it."""
    folder = begun(tmp_path_factory.mktemp("trace") / "state")
    before = Disk.of(folder)
    return before, recorded(["-c", ONCE, folder], folder, folder.parent / "log")


def steps_after_crashes(disk: Disk, folder: Path) -> Iterator[int]:
    for contents in disk.after_a_crash():
        put(folder, contents)
        yield step_of(folder)


def test_the_file_is_synced_before_its_name_and_its_name_before_the_old_goes(
    trace: tuple[Disk, list[Call]],
) -> None:
    _, calls = trace
    kinds = [call.kind for call in calls]
    written = kinds.index("write")
    assert kinds[written:] == ["write"] * kinds.count("write") + ["sync", "rename", "sync", "unlink"]
    *_, synced, renamed, named, removed = calls
    assert renamed.path == synced.path and renamed.path.endswith(".part")
    assert renamed.content.decode() == f"{named.path}/3.safetensors"
    assert removed.path == f"{named.path}/1.safetensors"


def test_no_loss_of_power_costs_a_checkpoint(trace: tuple[Disk, list[Call]], tmp_path: Path) -> None:
    before, calls = trace
    disk, saved, states = before.copy(), False, 0
    for call in [Call("begin", ""), *calls]:
        disk.apply(call)
        saved = saved or (call.kind == "sync" and not call.path.endswith(".part"))
        for step in steps_after_crashes(disk, tmp_path):
            assert step == 3 or (step == 2 and not saved), call
            states += 1
    assert saved and states > 40


@pytest.mark.parametrize("left_out", ["file", "folder"])
def test_without_its_syncs_it_would(left_out: str, trace: tuple[Disk, list[Call]], tmp_path: Path) -> None:
    """Show that the model of the disk sees what syncing is for."""
    before, calls = trace
    disk = before.copy()
    for call in calls:
        if call.kind != "sync" or call.path.endswith(".part") != (left_out == "file"):
            disk.apply(call)
    with pytest.raises(AssertionError):
        assert set(steps_after_crashes(disk, tmp_path)) == {3}


# strace counts each process' calls by kind, and hits the 30th: a child makes some before it saves, so that
# the 30th is the one of the save that is wanted.
HIT_AT_EACH = f"""{SAVING}
import json, os
from residua.errors import UserError

scratch = folder / "scratch"
handle = os.open(scratch, os.O_CREAT | os.O_WRONLY)
os.close(os.open(folder / "other", os.O_CREAT))
CALLS = {{
    "write": lambda: os.write(handle, b"."),
    "fsync": lambda: os.fsync(handle),
    "rename": lambda: os.rename(scratch, scratch),
    "unlink": lambda: (folder / "none").unlink(missing_ok=True),
}}

def save_and_be_hit(kind, number):
    for _ in range(30 - number):
        CALLS[kind]()
    try:
        save(folder / f"{{kind}}-{{number}}", 3, tensors(3), {{}})
    except UserError as error:
        os._exit(2 if f"{{kind}}-{{number}}/3.safetensors cannot be written: " in str(error) else 1)
    os._exit(0)

ends = {{}}
for name in sorted(each.name for each in folder.iterdir() if each.is_dir()):
    kind, number = name.split("-")
    child = os.fork()
    if not child:
        save_and_be_hit(kind, int(number))
    ends[name] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps(ends))
"""
NUMBERS = {"write": 6, "fsync": 3, "rename": 2, "unlink": 3}  # one more than a save makes, of most


def ends_of_saves(folder: Path, fault: dict[str, str]) -> dict[str, int]:
    """Save in one folder for each call that can be hit; return how each save ended."""
    for kind in fault:
        for number in range(1, NUMBERS[kind] + 1):
            begun(folder / f"{kind}-{number}")
    options = tuple(f"--inject=/^{kind}:{what}:when=30" for kind, what in fault.items())
    ends: dict[str, int] = json.loads(run_traced(["-c", HIT_AT_EACH, folder], ("-o", "/dev/null", *options)))
    return ends


WHOLE = {"1.safetensors", "2.safetensors", "3.safetensors"}


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_kill_at_any_call_leaves_a_checkpoint(tmp_path: Path) -> None:
    ends = ends_of_saves(tmp_path, dict.fromkeys(NUMBERS, "signal=KILL"))
    for name, end in ends.items():
        step = step_of(tmp_path / name)
        assert end in (0, -9) and (step == 3 or end != 0), name
        sweep(tmp_path / name)
        assert left(tmp_path / name) <= WHOLE
    for kind, count in NUMBERS.items():
        hits = [ends[f"{kind}-{number}"] for number in range(1, count + 1)]
        assert hits[0] == -9 and hits[-1] == 0, f"not every {kind} was hit: {hits}"


def test_a_disk_that_fails_leaves_a_checkpoint_and_nothing_else(tmp_path: Path) -> None:
    faults = {"write": "error=ENOSPC", "fsync": "error=EIO", "rename": "error=EROFS", "unlink": "error=EROFS"}
    ends = ends_of_saves(tmp_path, faults)
    for name, end in ends.items():
        step = step_of(tmp_path / name)
        assert end in (0, 2) and (step == 3 or end == 2), name
        assert left(tmp_path / name) <= WHOLE
    assert (ends["write-1"], ends["fsync-1"], ends["fsync-2"], ends["rename-1"]) == (2, 2, 2, 2)
    assert (ends["write-6"], ends["fsync-3"], ends["rename-2"], ends["unlink-1"]) == (0, 0, 0, 0)
