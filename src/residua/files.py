"""Files on disk: written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from residua.errors import UserError

PATIENCE = 100  # times that a lock changing hands is tried again


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file beside the path, and put it in the path's place once it is on the disk."""
    temporary = _beside(path, f"{secrets.token_hex(4)}.part")
    try:
        try:
            temporary.touch()
            permissions = temporary.stat().st_mode  # the user's; some writers would make the file private
            yield temporary
            with temporary.open("rb+") as file:  # Windows syncs only what may be written
                os.fsync(file.fileno())
            temporary.chmod(permissions)
            temporary.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror or error}.") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Let no other process write this file meanwhile, and remove what a killed one left beside it."""
    with locked(_beside(path, "lock"), path, "being written"):
        sweep(path.parent, re.escape(path.name))
        yield


def sweep(folder: Path, name: str = ".+") -> None:
    """Remove what killed writers of files left in a folder; only for who alone writes such files there."""
    for left in folder.iterdir():
        if re.fullmatch(rf"\.{name}\.[0-9a-f]{{8}}\.part", left.name, re.DOTALL):
            with contextlib.suppress(PermissionError):
                left.unlink(missing_ok=True)


class BusyError(UserError):
    """Another process has what this one wants."""


@contextlib.contextmanager
def locked(lock: Path, what: Path, how: str) -> Iterator[None]:
    """Hold a lock that frees itself when this process dies; who is turned away hears who has it."""
    try:
        handle = _locked(lock)
    except BlockingIOError:
        holder = f"process {pid}" if (pid := _holder(lock)) else "another process"
        raise BusyError(f"{what} is {how} by {holder}: wait for it, or stop it.") from None
    except OSError as error:
        raise UserError(f"{what} cannot be written: {error.strerror or error}.") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes no open file
            lock.unlink(missing_ok=True)
        os.close(handle)


def _holder(lock: Path) -> int:
    """Return who holds a lock, by what is written in it; 0 where that cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        return int(lock.read_text())
    return 0


def _alive(process: int) -> bool:
    if process <= 0 or os.name == "nt":  # where this would be a signal, not a question
        return process > 0
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _locked(path: Path) -> int:
    """Open and lock a file that whoever had it may be removing, and write into it who has it."""
    tries = 0
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(handle)
            if _stands(path, handle):
                os.ftruncate(handle, 0)
                os.write(handle, str(os.getpid()).encode())
                return handle
        except BlockingIOError:
            os.close(handle)
            tries += 1
            if tries > PATIENCE or _alive(_holder(path)):
                raise
            time.sleep(0.01)  # it is changing hands: the new one has not yet said who it is
        except OSError:
            os.close(handle)
            raise
        else:
            os.close(handle)


def _stands(path: Path, handle: int) -> bool:
    """Whether an open file is still the one that has this name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            raise BlockingIOError from None

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _beside(path: Path, ending: str) -> Path:
    """Name a hidden file of ours beside a file."""
    if not path.name:
        raise UserError(f"{str(path)!r} is a folder: name a file.")
    return path.with_name(f".{path.name}.{ending}")


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
