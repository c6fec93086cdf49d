"""Finding pictures in folders full of traps."""

import inspect
import os
import random
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from residua.data.sources import listing
from residua.data.sources.listing import HIDDEN, LISTED, NO_PICTURE, SPECIAL, list_pictures

JPEG = b"\xff\xd8\xff\xe0" + bytes(40)


def make(root: Path, *names: str, content: bytes = b"") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def reasons(root: Path) -> dict[str, str]:
    return {one.path: one.reason for one in list_pictures(root).skipped}


def test_pictures_are_found_at_any_depth_in_order(tmp_path: Path) -> None:
    make(tmp_path, "b/2.PNG", "b/1.jpeg", "a/deep/er/x.webp", "a-b/1.tiff", "top.gif")
    found = list_pictures(tmp_path)
    assert found.names == ["a-b/1.tiff", "a/deep/er/x.webp", "b/1.jpeg", "b/2.PNG", "top.gif"]
    assert found.skipped == ()


def test_unreadable_formats_are_listed_for_the_check_to_name(tmp_path: Path) -> None:
    make(tmp_path, "a.heic", "b.CR2", "c.svg", "d.avif")
    assert len(list_pictures(tmp_path).names) == 4


@pytest.mark.parametrize(
    "content",
    [
        JPEG,
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"RIFF\x00\x01\x02\x03WEBPVP8 ",
        b"BM\x00\x01\x02\x03\x00\x00\x00\x00",
        b"II*\x00",
        b"MM\x00*",
        b"P6\n# made by hand\n",
        b"P5 12 12",
        b"\x00\x00\x00\x18ftypheic",
    ],
)
def test_other_names_are_judged_by_content(tmp_path: Path, content: bytes) -> None:
    make(tmp_path, "IMG_1", "1.dat", "jpg", content=content)
    assert list_pictures(tmp_path).names == ["1.dat", "IMG_1", "jpg"]


@pytest.mark.parametrize("content", [b"", b"label,1", b"BM is short for", b"P6", b"GIF", b"PK\x03\x04"])
def test_what_is_no_picture_is_skipped_and_named(tmp_path: Path, content: bytes) -> None:
    make(tmp_path, "notes.txt", "raw", content=content)
    assert list_pictures(tmp_path).names == []
    assert reasons(tmp_path) == {"notes.txt": NO_PICTURE, "raw": NO_PICTURE}


def test_hidden_things_are_named_once_whatever_is_in_them(tmp_path: Path) -> None:
    hidden = [".DS_Store", "._1.jpg", "Thumbs.db", "desktop.ini"]
    make(tmp_path, *hidden, "1.jpg", ".ipynb_checkpoints/1.jpg", "__MACOSX/cat/._1.jpg", "a/@eaDir/1.jpg")
    assert list_pictures(tmp_path).names == ["1.jpg"]
    assert reasons(tmp_path) == dict.fromkeys([*hidden, ".ipynb_checkpoints", "__MACOSX", "a/@eaDir"], HIDDEN)


def test_a_hidden_folder_can_be_named(tmp_path: Path) -> None:
    make(tmp_path, ".cache/photos/1.jpg")
    assert list_pictures(tmp_path / ".cache").names == ["photos/1.jpg"]


def test_link_loops_end_and_every_file_is_listed_once(tmp_path: Path) -> None:
    root = tmp_path / "root"
    make(root, "a/1.jpg", "b/deep/2.jpg")
    loops = {
        "a/loop": "..",
        "b/deep/up": "../..",
        "above": "../..",
        "a/self": ".",
        "b/a": "../a",
        "0": "b/deep",
    }
    for name, target in loops.items():
        (root / name).symlink_to(target)
    assert list_pictures(root).names == ["a/1.jpg", "b/deep/2.jpg"]
    assert reasons(root) == dict.fromkeys(loops, LISTED)


def test_links_lead_out_of_the_folder_and_each_file_counts_once(tmp_path: Path) -> None:
    make(tmp_path, "pool/1.jpg", "pool/more/2.jpg", "root/real.jpg")
    root = tmp_path / "root"
    links = {
        "a": "../pool",
        "b": "../pool/more",
        "c.jpg": "../pool/1.jpg",
        "d.jpg": "real.jpg",
        "e.jpg": "d.jpg",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    found = list_pictures(root)
    assert found.names == ["a/1.jpg", "a/more/2.jpg", "real.jpg"]
    assert reasons(root) == {
        "b": LISTED,
        "c.jpg": "the same file as 'a/1.jpg'",
        "d.jpg": "the same file as 'real.jpg'",
        "e.jpg": "the same file as 'real.jpg'",
    }


def test_a_file_with_several_names_is_listed_once(tmp_path: Path) -> None:
    make(tmp_path, "b.jpg", "other.jpg")
    os.link(tmp_path / "b.jpg", tmp_path / "a.jpg")
    assert list_pictures(tmp_path).names == ["a.jpg", "other.jpg"]
    assert reasons(tmp_path) == {"b.jpg": "the same file as 'a.jpg'"}


def test_broken_links_are_named(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    assert list_pictures(tmp_path).names == []
    assert reasons(tmp_path).keys() == {"gone.jpg", "self.jpg"}
    assert all("leads nowhere" in reason for reason in reasons(tmp_path).values())


def test_pipes_and_sockets_are_skipped_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    os.mkfifo("pipe.jpg")
    os.mkfifo("pipe")
    Path("link.jpg").symlink_to("pipe")
    Path("null.jpg").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
        assert list_pictures(tmp_path).names == []
    assert reasons(tmp_path) == dict.fromkeys(
        ["link.jpg", "null.jpg", "pipe", "pipe.jpg", "socket.jpg"], SPECIAL
    )


def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is a device or a pipe"):  # with which it is named as skipped
        listing.begins_as_picture(tmp_path / "pipe")


def test_what_vanishes_meanwhile_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a/1.jpg", "gone/2.jpg", "a/unnamed")
    scandir = os.scandir

    def vanishing(path: Path) -> Iterator[Any]:
        if path.name == "gone":
            raise FileNotFoundError(2, "No such file or directory")
        (tmp_path / "a/unnamed").unlink(missing_ok=True)
        return scandir(path)

    entries = list(scandir(tmp_path / "a"))  # as they were before

    class Before:
        def __enter__(self) -> Any:
            return iter(entries)

        def __exit__(self, *_: object) -> None:
            (tmp_path / "a/unnamed").unlink(missing_ok=True)

    monkeypatch.setattr(os, "scandir", lambda path: Before() if path.name == "a" else vanishing(path))
    found = list_pictures(tmp_path)
    assert found.names == ["a/1.jpg"]
    assert {one.path: one.reason for one in found.skipped} == {
        "a/unnamed": "cannot be read: No such file or directory",
        "gone": "cannot be listed: No such file or directory",
    }


def test_any_bytes_make_a_name(tmp_path: Path) -> None:
    names = [
        b"\xff\xfe.jpg",
        b"new\nline.jpg",
        b"=cmd.jpg",
        b"<script>.jpg",
        b"x" * 251 + b".jpg",
        "ü.jpg".encode(),
    ]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    found = list_pictures(tmp_path).names
    assert sorted(map(os.fsencode, found)) == sorted(names)
    assert all((tmp_path / name).exists() for name in found)


def test_a_tree_deeper_than_python_nests_calls(tmp_path: Path) -> None:
    make(tmp_path, "/".join(["d"] * 200) + "/1.jpg")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        assert len(list_pictures(tmp_path).names) == 1
    finally:
        sys.setrecursionlimit(limit)
        for folder, _, files in os.walk(tmp_path, topdown=False):  # pytest could not remove it
            for name in files:
                Path(folder, name).unlink()
            Path(folder).rmdir()


def test_the_order_of_the_disk_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, *[f"{folder}/{number}.jpg" for folder in "abc" for number in range(9)])
    make(tmp_path, *(f"{folder}/{number}.txt" for folder in "abc" for number in range(9)))
    os.link(tmp_path / "c/1.jpg", tmp_path / "a/twin.jpg")
    (tmp_path / "x").symlink_to(".")
    expected = list_pictures(tmp_path)
    scandir = os.scandir

    class Shuffled:
        def __init__(self, path: Path) -> None:
            with scandir(path) as entries:
                self.entries = list(entries)
            random.shuffle(self.entries)

        def __enter__(self) -> Iterator[Any]:
            return iter(self.entries)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Shuffled)
    assert all(list_pictures(tmp_path) == expected for _ in range(5))
