"""Files on disk: read only if they are files, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from residua.errors import UserError

Name = str | os.PathLike[str]  # of a file or a folder
PATIENCE = 100  # times that a lock changing hands is tried again


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file beside the path, and put it in the path's place once it is on the disk.

    A link stays, and what it leads to is replaced. What killed writers of this file left is removed.
    """
    try:
        place = _replaceable(path)
        sweep(place.parent, re.escape(place.name))
        temporary, handle = _new_part(place)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        try:
            mode = (place if place.exists() else temporary).stat().st_mode  # some writers set another
            yield temporary
            with temporary.open("rb+") as file:  # Windows syncs only what may be written
                os.fsync(file.fileno())
            temporary.chmod(mode)
            if os.name == "nt":  # which renames no open file
                os.close(handle)
                handle = -1
            temporary.replace(place)
            sync_folder(place.parent)
        except OSError as error:
            raise _unwritable(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if handle >= 0:
            os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write a text, whole or not at all; what UTF-8 cannot hold becomes an escape."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside the path, and put it in the path's place once it is whole."""
    path = path.absolute()
    if not path.name:
        raise UserError(f"{path} exists already: name a new folder.")
    temporary = _beside(path, f"{secrets.token_hex(4)}.part")
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UserError(f"{path} exists already: name a new folder.")
        temporary.mkdir(parents=True)
        yield temporary
        if path.exists():
            path.rmdir()
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path} cannot be written: {error.strerror or error}.")


def _replaceable(path: Path) -> Path:
    """Return what a path leads to, if anything; a folder, a device or a pipe is not to be replaced."""
    check_replaceable(path)
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def check_replaceable(path: Path) -> None:
    """Refuse to write over what is no file: a folder, a device, a pipe."""
    try:
        mode = path.stat().st_mode
    except OSError:  # it is not there; whether it can be is found out by writing
        return
    if stat.S_ISDIR(mode):
        raise UserError(f"{path} is a folder: name a file in it.")
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is a device or a pipe: name a file.")


def check_unlinked(folder: Path) -> None:
    """Refuse a folder whose own files are links: who writes there would replace files elsewhere."""
    for path in sorted(folder.iterdir()):
        if path.is_symlink() and not path.is_dir():
            raise UserError(f"{path} is a link, and what it leads to would be replaced: remove it.")


def check_files(*files: Path | None, inputs: Iterable[str | Path | None] = ()) -> None:
    """Find out before the work, not after it, that there is no place for its result, or only an input's."""
    for file in filter(None, files):
        if not file.parent.is_dir():
            raise UserError(f"{file} cannot be written: there is no folder {str(file.parent)!r}.")
        check_replaceable(file)
        check_new(file, *inputs)


def check_folder(folder: Path, what: str) -> None:
    """Find out before the work that nothing can be written ("written", "kept") in a folder; it is made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = "it is no folder" if isinstance(error, FileExistsError) else error.strerror or error
        raise UserError(f"nothing can be {what} in {folder}: {reason}. Name a folder for it.") from None


def check_new(path: Path, *read: str | os.PathLike[str] | None) -> None:
    """Refuse to write over what is read."""
    for each in read:
        if each and _same(path, Path(each)):
            raise UserError(f"{path} is read, so it cannot be written: name another file.")


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # one is not there, or is no path but a name
        return False


def regular(path: str, flags: int) -> int:
    """Open a file as `open(..., opener=regular)` does; one that may never end is refused."""
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # which opens a pipe without waiting
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # of a folder Python says so itself
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, "it is a device or a pipe, not a file", path)


def check_suffix(path: Path | None, suffix: str) -> None:
    """Keep a slip of the keyboard from replacing a picture by a page about it."""
    if path and path.suffix.lower() != suffix:
        raise UserError(f"{path} is not valid: the name must end in {suffix}.")


def claimed(path: Path) -> contextlib.AbstractContextManager[None]:
    """Let no other process write this file meanwhile."""
    return locked(_beside(path, "lock"), path, "being written")


def sweep(folder: Path, name: str = ".+") -> None:
    """Remove what killed writers of files left in a folder; what a living one writes is locked, and stays."""
    with contextlib.suppress(OSError):  # a folder that is not there, or not to be listed, is not swept
        for left in folder.iterdir():
            if re.fullmatch(rf"\.{name}\.[0-9a-f]{{8}}\.part", left.name, re.DOTALL):
                with contextlib.suppress(OSError):
                    _remove_abandoned(left)


def _remove_abandoned(part: Path) -> None:
    """Remove a file that no writer has locked, or, on Windows, open."""
    if sys.platform == "win32":
        return part.unlink()
    handle = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        _lock(handle)
        if _stands(part, handle):
            part.unlink()
    finally:
        os.close(handle)


def _new_part(path: Path) -> tuple[Path, int]:
    """Make a temporary file beside a file, and lock it while it is open: so it is seen to be in use."""
    while True:
        part = _beside(path, f"{secrets.token_hex(4)}.part")
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if sys.platform == "win32":
            return part, handle
        try:
            _lock(handle)
        except BlockingIOError:  # somebody who sweeps was quicker
            os.close(handle)
            continue
        except OSError:  # this disk has no locks, so that nobody can sweep it either
            return part, handle
        if _stands(part, handle):
            return part, handle
        os.close(handle)


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
        raise _unwritable(what, error) from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes no open file
            if _stands(lock, handle):  # another's is not ours to remove
                lock.unlink()
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
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
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


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    if os.name == "nt":  # Windows opens no folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
