"""Files and folders are walked in order, without growing, past whatever lies there."""

import contextlib
import os
import socket
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from residua import UserError
from residua.data.sources import walking
from residua.data.sources.walking import walk

PNG = b"\x89PNG\r\n\x1a\n"


def tree(root: Path, *names: str) -> Path:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(PNG)
    return root


def found(*given: Any) -> list[str]:
    """The paths; nothing may be in the way."""
    every = list(walk(given))
    assert not [each for each in every if each.reason]
    return [each.path for each in every]


def below(root: Path) -> list[str]:
    return [os.path.relpath(path, root) for path in found(root)]


def test_folders_are_walked_in_order_and_files_taken_as_given(tmp_path: Path) -> None:
    names = ["a/2.png", "a/10.PNG", "a/z/1.jpg", "b.png", "c/without", "\udcff.png"]
    tree(tmp_path, *names, "notes.txt", ".hidden/1.png", "a/.1.png", "Thumbs.db")
    (tmp_path / "notes.txt").write_text("no picture")
    assert below(tmp_path) == sorted(names)
    notes = str(tmp_path / "notes.txt")
    assert found(notes, "missing.png", tmp_path / "b.png") == [notes, "missing.png", str(tmp_path / "b.png")]


def test_large_folders_are_read_again_for_further_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number:03}.png" for number in range(25)] + [f"010/{number}.png" for number in range(7)]
    tree(tmp_path, *names)
    whole = below(tmp_path)
    assert len(whole) == len(names)
    for most in (1, 5, 25, 26):
        monkeypatch.setattr(walking, "NAMES", most)
        assert below(tmp_path) == whole


def test_every_name_of_a_file_counts(tmp_path: Path) -> None:
    tree(tmp_path, "a.png")
    os.link(tmp_path / "a.png", tmp_path / "b.png")
    (tmp_path / "c.png").symlink_to("a.png")
    assert below(tmp_path) == ["a.png", "b.png", "c.png"]


def test_a_folder_is_entered_once_whatever_links_to_it(tmp_path: Path) -> None:
    tree(tmp_path / "top", "real/1.png", "z/2.png")
    outside = tree(tmp_path / "outside", "3.png")
    for name, target in {
        "a-link": tmp_path / "top" / "real",
        "back": tmp_path / "top",
        "above": tmp_path,
        "real/loop": tmp_path / "top" / "real",
        "out": outside,
        "z/out-again": outside,
    }.items():
        (tmp_path / "top" / name).symlink_to(target)
    (outside / "home").symlink_to(tmp_path / "top")
    assert below(tmp_path / "top") == ["real/1.png", "z/2.png", "out/3.png"]


def test_pipes_sockets_and_devices_keep_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "1.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "to-pipe.png").symlink_to("pipe.png")
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.png")
        assert below(tmp_path) == ["1.png"]


def test_what_is_in_the_way_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "1.png", "locked/2.png", "z.png")
    (tmp_path / "nowhere.png").symlink_to("missing")
    real = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    names = [(os.path.relpath(each.path, tmp_path), each.reason) for each in walk([tmp_path])]
    assert names == [
        ("1.png", ""),
        ("locked", "it cannot be read: Permission denied"),
        ("nowhere.png", "it cannot be read: No such file or directory"),
        ("z.png", ""),
    ]


@pytest.mark.parametrize("other", [1, None])
def test_what_is_no_path_is_refused(other: Any) -> None:
    with pytest.raises(UserError, match="expected paths of pictures or folders, not a"):
        list(walk([other]))


def test_memory_does_not_grow_with_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "NAMES", 100)
    real = tree(tmp_path / "real", "1.png") / "1.png"
    stat = os.stat
    monkeypatch.setattr(
        os, "stat", lambda path, **how: stat(real if f"{path}".endswith("png") else path, **how)
    )

    def peak(count: int) -> int:
        """Walk a folder that pretends to hold so many, the last names first, which is the worst."""

        @contextlib.contextmanager
        def scandir(_: str) -> Iterator[Iterator[Any]]:
            names = (f"{number:07}.png" for number in range(count, 0, -1))
            yield (SimpleNamespace(name=name, is_dir=lambda **_: False) for name in names)

        monkeypatch.setattr(os, "scandir", scandir)
        tracemalloc.start()
        try:
            assert sum(1 for _ in walk([tmp_path])) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(200)  # what is made once
    assert peak(1600) < 1.5 * peak(400)
