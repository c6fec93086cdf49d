"""Whatever holds labelled pictures, opened by what it is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from residua.data.dataset import Data
from residua.data.packing.packed import is_pack, open_pack
from residua.data.sources.cifar import (
    ARCHIVES,
    is_cifar_folder,
    open_archive,
    open_cifar_folder,
    open_published,
)
from residua.data.sources.digits import open_digits
from residua.data.sources.folders import open_folder
from residua.data.sources.table import open_table
from residua.errors import UserError
from residua.files import regular
from residua.weights.transfer import Progress

GZIP = b"\x1f\x8b"
ACCEPTED = "a folder of class folders, a CSV, a CIFAR archive, a packed file, or digits, cifar10, cifar100"


def open_data(
    where: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Data:
    """Find labelled pictures: in a folder, a CSV, a CIFAR archive, a packed file, or by a name.

    The paths in a CSV are relative to `root`, or to its own folder. `progress` hears of downloads.
    """
    name, path = os.fspath(where), Path(where)
    if root is not None and path.suffix.lower() != ".csv":
        raise UserError(f"root={os.fspath(root)!r} is for a CSV, which {name!r} is not.")
    if name == "digits":
        return open_digits()
    if name in ARCHIVES:
        return open_published(name, progress)
    mode = _mode(name)
    if stat.S_ISDIR(mode):
        return open_cifar_folder(path, name) if is_cifar_folder(path) else open_folder(path, name)
    if stat.S_ISREG(mode):
        return _open_file(path, name, None if root is None else Path(root))
    raise UserError(f"{name!r} is neither a file nor a folder: expected {ACCEPTED}.")


def is_named(where: str) -> bool:
    """Whether data is known by this name, whatever lies where one is."""
    return where == "digits" or where in ARCHIVES


def _mode(where: str) -> int:
    try:
        return os.stat(where).st_mode  # noqa: PTH116 - a Path would take "" for the current folder
    except ValueError:  # as for a NUL
        fault = "cannot be a name"
    except FileNotFoundError:
        fault = "does not exist"
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
    raise UserError(f"{where!r} {fault}: expected {ACCEPTED}.")


def _open_file(path: Path, where: str, root: Path | None) -> Data:
    if path.suffix.lower() == ".csv":
        return open_table(path, where, root)
    if is_pack(path):
        return open_pack(path)
    try:
        with open(path, "rb", opener=regular) as file:
            start = file.read(len(GZIP))
    except OSError as error:
        raise UserError(f"{where!r} cannot be read: {error.strerror}.") from None
    if start == GZIP:
        return open_archive(path, where)
    raise UserError(f"{where!r} is not known: expected {ACCEPTED}; unpack archives of pictures.")
