"""CIFAR's binary archives: read whole, and hostile ones harmless."""

import gzip
import io
import tarfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from residua.data.dataset import Data
from residua.data.sources import cifar
from residua.data.sources.cifar import ARCHIVES
from residua.data.sources.recognition import open_data
from residua.errors import UserError
from residua.weights.cache import file_sha256

COUNT = 3  # pictures in each file
Member = tuple[str, bytes | tarfile.TarInfo]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Archives of a few pictures, and a cache of their own."""
    for name, archive in ARCHIVES.items():
        monkeypatch.setitem(ARCHIVES, name, replace(archive, files=dict.fromkeys(archive.files, COUNT)))
    monkeypatch.setenv("RESIDUA_CACHE", str(tmp_path / "cache"))


def contents(name: str) -> dict[str, bytes]:
    """Files as published, with pictures of noise."""
    archive, draw = ARCHIVES[name], np.random.default_rng(0)
    files = {}
    for file, count in archive.files.items():
        labels = draw.integers(0, archive.classes, (count, archive.labels))
        pixels = draw.integers(0, 256, (count, cifar.PIXELS))
        files[file] = np.hstack([labels, pixels]).astype(np.uint8).tobytes()
    lines = "".join(f"class {number}\n" for number in range(archive.classes))
    return files | {archive.class_names: f"{lines}\n".encode()}


def members(name: str) -> list[Member]:
    folder = ARCHIVES[name].folder
    return [(f"{folder}/{file}", content) for file, content in contents(name).items()]


def packed(path: Path, entries: Sequence[Member]) -> Path:
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, content in entries:
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def special(kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info


def check_whole(data: Data, name: str) -> None:
    archive, files = ARCHIVES[name], contents(name)
    assert data.kind == "cifar"
    assert data.classes == tuple(f"class {number}" for number in range(archive.classes))
    testing = COUNT
    training = COUNT * (len(archive.files) - 1)
    assert list(data.names[:2]) == ["train/00000", "train/00001"]
    assert data.names[-1] == f"test/{testing - 1:05}"
    assert data.parts.tolist() == [0] * training + [2] * testing
    whole = np.frombuffer(b"".join(files[file] for file in archive.files), np.uint8)
    records = whole.reshape(-1, archive.labels + cifar.PIXELS)
    assert data.labels.tolist() == records[:, archive.labels - 1].tolist()
    for place in range(len(data)):
        red, green, blue = records[place, archive.labels :].reshape(3, 32, 32)
        assert np.array_equal(data.read(place), np.dstack([red, green, blue]))


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_are_read_whole(tmp_path: Path, name: str) -> None:
    path = packed(
        tmp_path / "any name.tgz", [*members(name), (f"{ARCHIVES[name].folder}/readme.html", b"<p>")]
    )
    check_whole(open_data(path), name)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["any name.tgz"]


@pytest.mark.parametrize("name", ARCHIVES)
def test_unpacked_archives_are_read_whole(tmp_path: Path, name: str) -> None:
    for file, content in contents(name).items():
        (tmp_path / file).write_bytes(content)
    check_whole(open_data(tmp_path), name)
    (tmp_path / list(ARCHIVES[name].files)[-1]).unlink()
    with pytest.raises(UserError, match="cannot be read: No such file"):
        open_data(tmp_path)


def test_published_archives_come_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").mkdir()
    path = packed(tmp_path / "cache/cifar-10-binary.tar.gz", members("cifar10"))
    own = replace(ARCHIVES["cifar10"], sha256=file_sha256(path))
    monkeypatch.setitem(ARCHIVES, "cifar10", own)
    data = open_data("cifar10")
    assert data.where == "cifar10"
    check_whole(data, "cifar10")


def test_offline_the_sentence_has_the_url_and_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody listens
    with pytest.raises(UserError) as failure:
        open_data("cifar100")
    assert ARCHIVES["cifar100"].url in str(failure.value)
    assert str(tmp_path / "cache/cifar-100-binary.tar.gz") in str(failure.value)


def test_pickles_are_refused_and_the_binary_form_named(tmp_path: Path) -> None:
    path = packed(tmp_path / "cifar-10-python.tar.gz", [("cifar-10-batches-py/data_batch_1", b"\x80\x02.")])
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in ("batches.meta", "data_batch_1"):
        (folder / name).write_bytes(b"\x80\x02.")
    for where in (path, folder):
        with pytest.raises(UserError, match=r"Python pickles.*cifar-10-binary\.tar\.gz"):
            open_data(where)


FOLDER = "cifar-10-batches-bin"
NO_CIFAR = [
    [("cat/1.jpg", b"x"), ("dog/2.jpg", b"x")],
    [("../evil", b"x"), ("/var/evil", b"x")],
    [("link", special(tarfile.SYMTYPE, "/etc")), ("link/evil", b"x")],
    [("device", special(tarfile.CHRTYPE)), ("pipe", special(tarfile.FIFOTYPE))],
    [],
]


@pytest.mark.parametrize("entries", NO_CIFAR)
def test_other_archives_are_one_sentence(tmp_path: Path, entries: list[Member]) -> None:
    path = packed(tmp_path / "a.tar.gz", entries)
    with pytest.raises(UserError, match="unpack archives of pictures"):
        open_data(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("entries", NO_CIFAR)
def test_hostile_members_beside_the_real_ones_are_written_nowhere(
    tmp_path: Path, entries: list[Member]
) -> None:
    path = packed(tmp_path / "a.tar.gz", [*entries, *members("cifar10"), *entries])
    check_whole(open_data(path), "cifar10")
    assert list(tmp_path.iterdir()) == [path]


def changed(name: str, content: bytes | tarfile.TarInfo | None) -> list[Member]:
    """The members of CIFAR-10 with one changed or missing."""
    every = dict(members("cifar10")) | ({} if content is None else {f"{FOLDER}/{name}": content})
    return [entry for entry in every.items() if content is not None or entry[0] != f"{FOLDER}/{name}"]


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        (("test_batch.bin", None), "it has no test_batch.bin"),
        (("test_batch.bin", bytes(3073)), "test_batch.bin must have 9,219 bytes"),
        (("test_batch.bin", bytes(3073 * 4)), "not as published"),
        (("test_batch.bin", b"\x0a" * 9219), "a class above 9"),
        (("test_batch.bin", special(tarfile.SYMTYPE, "data_batch_1.bin")), "not as published"),
        (("test_batch.bin", special(tarfile.CHRTYPE)), "not as published"),
        (("batches.meta.txt", b"cat\ndog\n"), "must name 10 classes"),
        (("batches.meta.txt", b"cat\n" * 10), "must name 10 classes"),
        (("batches.meta.txt", bytes(20_000)), "not as published"),
    ],
)
def test_changed_archives_are_one_sentence(
    tmp_path: Path, entries: tuple[str, bytes | tarfile.TarInfo | None], fault: str
) -> None:
    path = packed(tmp_path / "a.tar.gz", changed(*entries))
    with pytest.raises(UserError, match=fault):
        open_data(path)


def test_a_fine_class_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = ARCHIVES["cifar100"].folder
    wrong = (bytes([1, 100]) + bytes(cifar.PIXELS)) * COUNT
    path = packed(tmp_path / "a.tar.gz", [*members("cifar100")[1:], (f"{folder}/train.bin", wrong)])
    with pytest.raises(UserError, match="a class above 99"):
        open_data(path)


def test_members_that_come_twice_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.tar.gz", [*members("cifar10"), members("cifar10")[0]])
    with pytest.raises(UserError, match="not as published"):
        open_data(path)


def test_bombs_are_read_no_further_than_cifar_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "ARCHIVE_LIMIT", 1 << 20)
    huge = tarfile.TarInfo("bomb")
    huge.size = 1 << 40
    for header in (huge, special(tarfile.XHDTYPE), special(tarfile.GNUTYPE_LONGNAME)):
        header.name, header.size = "bomb", 1 << 40
        path = tmp_path / "bomb.tar.gz"
        path.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(10 << 20)))
        with pytest.raises(UserError, match="it holds more"):
            open_data(path)


def test_no_torn_archive_is_taken_for_whole(tmp_path: Path) -> None:
    whole = packed(tmp_path / "whole.tar.gz", members("cifar10")).read_bytes()
    torn = tmp_path / "torn.tar.gz"
    for size in (2, 11, 100, len(whole) // 2, len(whole) - 1):
        torn.write_bytes(whole[:size])
        with pytest.raises(UserError, match="is not a whole archive"):
            open_data(torn)
    draw = np.random.default_rng(0)
    for place in draw.integers(10, len(whole), 40).tolist():
        torn.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        with pytest.raises(UserError):
            open_data(torn)
