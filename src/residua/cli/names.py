"""Names of files from standard input, as they come."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from itertools import chain, takewhile
from typing import cast

from residua.errors import UserError

PIECE = 1 << 16
LONGEST = 1 << 20  # bytes of a name; nothing has a longer one


def standard_input() -> int:
    """Return what standard input is read from."""
    if sys.stdin is None:
        raise UserError("standard input is closed: give files or folders, or paths to - by a pipe.")
    return sys.stdin.fileno()


def names_from(handle: int, separator: bytes = b"\n") -> Iterator[Iterator[str]]:
    """Yield the names that end with a separator in stretches, each to be used up before the next.

    A stretch ends where one would have to wait for the next name.
    """
    names = _names(handle, separator)
    for name in names:
        yield cast("Iterator[str]", takewhile(_is_there, chain([name], names)))


def _is_there(name: str | None) -> bool:
    return name is not None


def _names(handle: int, separator: bytes) -> Iterator[str | None]:
    """Yield each name; None where the next is not there yet."""
    rest = b""
    while True:
        if not _ready(handle):
            yield None
        piece = os.read(handle, PIECE)
        if not piece:
            break
        *names, rest = (rest + piece).split(separator)
        yield from _decoded(names, separator)
        if len(rest) > LONGEST:
            raise UserError("standard input has a line of more than a million bytes: give one path a line.")
    yield from _decoded([rest], separator)


def _decoded(names: list[bytes], separator: bytes) -> Iterator[str]:
    """Yield names of files; lines may end as on Windows."""
    for name in map(os.fsdecode, names):
        windows = separator == b"\n" and name.endswith("\r") and not _exists(name)
        if found := name[:-1] if windows else name:
            yield found


def _exists(name: str) -> bool:
    try:
        return os.path.lexists(name)
    except ValueError:  # as for a NUL
        return False


def _ready(handle: int) -> bool:
    """Whether reading would not have to wait; where that cannot be known (Windows), no."""
    try:
        return bool(select.select([handle], [], [], 0)[0])
    except (OSError, ValueError):
        return False
