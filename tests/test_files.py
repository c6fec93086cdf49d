"""Files are written whole or not at all, where they may be, and what killed writers left goes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from residua.errors import UserError
from residua.files import check_new, locked, new_folder, regular, replacing, sweep

LEFT = ".out.0123abcd.part"


def write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


def read(path: Path) -> bytes:
    with open(path, "rb", opener=regular) as file:
        return file.read()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_replaced_file_stays_as_private_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "own").touch(mode=0o600)
    write(tmp_path / "own", "text")
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o600


def test_a_lock_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("text")
    (tmp_path / "lock").symlink_to("precious")
    with pytest.raises(UserError, match="cannot be written"), locked(tmp_path / "lock", tmp_path, "held"):
        pass
    assert (tmp_path / "precious").read_text() == "text"


def test_the_root_is_no_new_folder() -> None:
    with pytest.raises(UserError, match="exists already"), new_folder(Path("/")):
        pass


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    for name in ("far/there", "far/new"):
        link = tmp_path / Path(name).name
        link.symlink_to(name)
    (tmp_path / "far" / "there").write_text("old")
    for name in ("there", "new"):
        write(tmp_path / name, name)
        assert (tmp_path / name).is_symlink() and (tmp_path / "far" / name).read_text() == name
    assert names(tmp_path) == {"far", "there", "new"} and names(tmp_path / "far") == {"there", "new"}


def test_no_device_pipe_or_folder_is_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to(os.devnull)
    for path in (tmp_path / "pipe", tmp_path / "null"):
        with pytest.raises(UserError, match=f"{path.name} is a device or a pipe: name a file"):
            write(path, "new")
    with pytest.raises(UserError, match="is a folder: name a file in it"):
        write(tmp_path, "new")
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "null").is_symlink()
    assert names(tmp_path) == {"pipe", "null"}


def test_what_a_killed_writer_left_goes_with_the_next(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from residua.files import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    out = tmp_path / "out"
    done = subprocess.run([sys.executable, "-c", code, str(out)], check=False)
    assert done.returncode == -signal.SIGKILL and len(names(tmp_path)) == 1
    (tmp_path / ".other.0123abcd.part").touch()
    (tmp_path / LEFT).mkdir()  # somebody's folder
    write(out, "whole")
    assert names(tmp_path) == {"out", ".other.0123abcd.part", LEFT}


def test_two_write_one_file_at_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with replacing(out) as first:
        with replacing(out) as second:
            (tmp_path / LEFT).touch()
            sweep(tmp_path)
            assert first.exists() and second.exists() and not (tmp_path / LEFT).exists()
            second.write_text("second")
        assert out.read_text() == "second"
        first.write_text("first")
    assert out.read_text() == "first" and names(tmp_path) == {"out"}


def test_who_sweeps_between_making_and_locking_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = sys.modules["residua.files"]._lock
    removed: list[Path] = []

    def swept_before(handle: int) -> None:
        for part in tmp_path.glob(".out.*.part"):
            if not removed:
                removed.append(part)
                part.unlink()
        lock(handle)

    monkeypatch.setattr("residua.files._lock", swept_before)
    write(tmp_path / "out", "whole")
    assert removed and (tmp_path / "out").read_text() == "whole" and names(tmp_path) == {"out"}


def test_only_files_are_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    os.mkfifo(tmp_path / "pipe")
    assert read(tmp_path / "file") == b"text"
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(OSError, match="it is a device or a pipe, not a file"):
            read(path)
    with pytest.raises(IsADirectoryError):
        read(tmp_path)


def test_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "in").touch()
    (tmp_path / "link").symlink_to("in")
    for name in ("in", "link"):
        with pytest.raises(UserError, match=f"{name} is read, so it cannot be written: name another file"):
            check_new(tmp_path / name, None, "", "digits", str(tmp_path / "in"))
    check_new(tmp_path / "new", tmp_path / "in", "\0")


def test_a_lock_that_is_another_is_left(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with locked(lock, tmp_path, "being used"):
        lock.unlink()
        lock.write_text("another")
    assert lock.read_text() == "another"
    with locked(lock, tmp_path, "being used"):
        assert lock.read_text() == str(os.getpid())
    assert not lock.exists()
