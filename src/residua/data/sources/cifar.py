"""CIFAR-10 and CIFAR-100 in their binary form, from the archive without unpacking it, or unpacked."""

from __future__ import annotations

import contextlib
import gzip
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from residua.data.dataset import PARTS, Data
from residua.data.pictures import Arrays
from residua.errors import UserError
from residua.files import regular
from residua.weights.download import fetch
from residua.weights.transfer import Progress

SIDE = 32
PIXELS = 3 * SIDE * SIDE
TEXT_LIMIT = 1 << 14
ARCHIVE_LIMIT = 256 << 20  # bytes unpacked; the real ones have 184 million
CHUNK = 1 << 20
PICKLED = ("cifar-10-batches-py", "cifar-100-python")
PICKLES = (("batches.meta", "data_batch_1"), ("meta", "train"))  # files in those folders


@dataclass(frozen=True)
class Archive:
    """One published archive."""

    url: str
    sha256: str
    size: int
    folder: str
    files: Mapping[str, int]  # those with pictures, training ones first, and how many each holds
    class_names: str  # the file of them
    classes: int
    labels: int  # bytes before each picture, the last is the class


ARCHIVES = {
    "cifar10": Archive(
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        size=170_052_171,
        folder="cifar-10-batches-bin",
        files={f"data_batch_{number}.bin": 10_000 for number in range(1, 6)} | {"test_batch.bin": 10_000},
        class_names="batches.meta.txt",
        classes=10,
        labels=1,
    ),
    "cifar100": Archive(
        url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        size=168_513_733,
        folder="cifar-100-binary",
        files={"train.bin": 50_000, "test.bin": 10_000},
        class_names="fine_label_names.txt",
        classes=100,
        labels=2,
    ),
}
BINARY = " or ".join(archive.url.rpartition("/")[2] for archive in ARCHIVES.values())


def open_published(name: str, progress: Progress | None = None) -> Data:
    """Return "cifar10" or "cifar100", fetched once."""
    archive = ARCHIVES[name]
    file_name = archive.url.rpartition("/")[2]
    path = fetch(
        archive.url,
        sha256=archive.sha256,
        file_name=file_name,
        progress=progress,
        size_limit=archive.size,
    )
    return open_archive(path, name)


def open_archive(path: Path, where: str) -> Data:
    """Read a `.tar.gz` into memory; nothing of it is written anywhere."""
    try:
        with gzip.open(path) as stream:
            found = _members(stream, where)
    except (OSError, EOFError, zlib.error, tarfile.HeaderError) as error:
        raise UserError(f"{where!r} is not a whole archive: {error}.") from None
    for archive in ARCHIVES.values():
        own = {name: content for (folder, name), content in found.items() if folder == archive.folder}
        if own:
            found.clear()  # so that `_data` can free what it has copied
            return _data(archive, own, where)
    raise UserError(f"{where!r} is no CIFAR archive in binary form ({BINARY}): unpack archives of pictures.")


def is_cifar_folder(folder: Path) -> bool:
    """Whether a folder is an unpacked archive, also one of pickles."""
    binary = [(archive.class_names, *archive.files) for archive in ARCHIVES.values()]
    with contextlib.suppress(PermissionError):  # of a folder that may not be searched, listing it tells
        return any(all((folder / name).is_file() for name in names[:2]) for names in (*binary, *PICKLES))
    return False


def open_cifar_folder(folder: Path, where: str) -> Data:
    """Read an unpacked archive."""
    for archive in ARCHIVES.values():
        if (folder / archive.class_names).is_file():
            sizes = _sizes(archive)
            return _data(archive, {name: _read(folder / name, size) for name, size in sizes.items()}, where)
    raise _pickled(where)


def _sizes(archive: Archive) -> dict[str, int]:
    """Return how many bytes each file has, or may have at most if it is text."""
    record = archive.labels + PIXELS
    return {name: count * record for name, count in archive.files.items()} | {archive.class_names: TEXT_LIMIT}


def _read(path: Path, size: int) -> bytes:
    try:
        with open(path, "rb", opener=regular) as file:
            return file.read(size + 1)  # one more shows that it is too long
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read: {error.strerror}.") from None


def _pickled(where: str) -> UserError:
    return UserError(f"{where!r} holds Python pickles, which could run code: use the binary form, {BINARY}.")


def _members(stream: gzip.GzipFile, where: str) -> dict[tuple[str, str], bytes]:
    """Read the expected files into memory, by folder and name; what else is there is passed over."""
    sizes = {(a.folder, name): size for a in ARCHIVES.values() for name, size in _sizes(a).items()}
    found: dict[tuple[str, str], bytes] = {}
    left = ARCHIVE_LIMIT
    while any(header := stream.read(tarfile.BLOCKSIZE)):
        member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        padded = -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        left -= tarfile.BLOCKSIZE + padded
        if left < 0 or member.size < 0:
            raise UserError(f"{where!r} is no CIFAR archive, for it holds more: unpack archives of pictures.")
        folder, _, name = member.name.removeprefix("./").partition("/")
        if folder in PICKLED:
            raise _pickled(where)
        if (folder, name) not in sizes:
            _pass_over(stream, padded)
        elif not member.isreg() or (folder, name) in found or member.size > sizes[folder, name]:
            raise UserError(f"{where!r} is no CIFAR archive: {member.name!r} is not as published.")
        else:
            found[folder, name] = stream.read(member.size)
            _pass_over(stream, padded - member.size)
    _pass_over(stream, left)  # to its end, where its checksum is
    return found


def _pass_over(stream: gzip.GzipFile, count: int) -> None:
    while count > 0 and (skipped := stream.read(min(count, CHUNK))):
        count -= len(skipped)


def _data(archive: Archive, files: dict[str, bytes], where: str) -> Data:
    """Put the pictures of all files into one array; their planes become channels."""
    classes = _class_names(archive, files, where)
    total = sum(archive.files.values())
    pixels = np.empty((total, SIDE, SIDE, 3), np.uint8)
    labels = np.empty(total, np.int32)
    start = 0
    for name, count in archive.files.items():
        records = _records(archive, name, files.pop(name, b""), where)
        rows = slice(start, start + count)
        pixels[rows] = records[:, archive.labels :].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        labels[rows] = records[:, archive.labels - 1]
        start += count
    testing = sum(count for name, count in archive.files.items() if name.startswith("test"))
    training = total - testing
    names = [f"train/{place:05}" for place in range(training)] + [
        f"test/{place:05}" for place in range(testing)
    ]
    parts = np.repeat(np.array([PARTS.index("train"), PARTS.index("test")], np.int8), [training, testing])
    return Data(where, "cifar", classes, names, labels, parts, Arrays(pixels))


def _records(archive: Archive, name: str, content: bytes, where: str) -> NDArray[np.uint8]:
    count, record = archive.files[name], archive.labels + PIXELS
    if len(content) != count * record:
        fault = f"{name} must have {count * record:,} bytes" if content else f"it has no {name}"
        raise UserError(f"{where!r} is not whole: {fault}.")
    records = np.frombuffer(content, np.uint8).reshape(count, record)
    if (records[:, archive.labels - 1] >= archive.classes).any():
        raise UserError(f"{where!r} is damaged: {name} has a class above {archive.classes - 1}.")
    return records


def _class_names(archive: Archive, files: dict[str, bytes], where: str) -> tuple[str, ...]:
    text = files.pop(archive.class_names, b"").decode("utf-8", "replace")
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    if len(set(names)) != archive.classes or len(names) != archive.classes:
        raise UserError(f"{where!r} is damaged: {archive.class_names} must name {archive.classes} classes.")
    return names
