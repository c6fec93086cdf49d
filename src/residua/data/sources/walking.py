"""Files and the pictures in folders, one after the other, sorted.

Of files nothing is kept: a folder of any size takes the memory of so many names, and where it has more, it is
read again for the next. What is kept is two numbers for each folder, and the links that are still to follow.
Every name counts, also a further one of the same file; a folder is entered once, whatever links lead to it.
"""

from __future__ import annotations

import heapq
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from residua.data.sources.listing import begins_as_picture, is_hidden, is_picture_name
from residua.errors import UserError
from residua.files import Name

NAMES = 25_000  # of a folder, held at a time


class Found(NamedTuple):
    """A file, or what cannot be looked into, and why."""

    path: str
    reason: str = ""


def walk(given: Iterable[Name]) -> Iterator[Found]:
    """Yield every given file, and the pictures in every given folder."""
    for name in given:
        if not isinstance(name, (str, os.PathLike)):
            raise UserError(f"expected paths of pictures or folders, not a {type(name).__name__}.")
        elif os.path.isdir(path := os.fspath(name)):  # noqa: PTH112 - a path may have a NUL
            yield from _Walk(path).found()
        else:
            yield Found(path)


class _Walk:
    """One folder and all below it: first what is really there, then what links to folders lead to."""

    def __init__(self, root: str) -> None:
        self.links = [root]
        parents = (parent.stat() for parent in Path(root).resolve().parents)
        self.seen = {(each.st_dev, each.st_ino) for each in parents}

    def found(self) -> Iterator[Found]:
        """Yield the pictures, and what is in the way of finding more."""
        while self.links:
            links, self.links = sorted(self.links), []
            for link in links:
                yield from self._below(link)

    def _below(self, start: str) -> Iterator[Found]:
        open_folders = [(start, self._entries(start))]
        while open_folders:
            folder, entries = open_folders[-1]
            path = folder
            try:
                name, is_folder = next(entries)
                path = os.path.join(folder, name)  # noqa: PTH118 - a million of them
                if is_folder:
                    open_folders.append((path, self._entries(path)))
                elif self._is_picture(path):
                    yield Found(path)
            except StopIteration:
                open_folders.pop()
            except OSError as error:
                yield Found(path, f"it cannot be read: {error.strerror}")

    def _entries(self, folder: str) -> Iterator[tuple[str, bool]]:
        """Yield a folder's names, sorted, and whether each is a folder; one that was entered has none."""
        found = os.stat(folder)  # noqa: PTH116 - paths are plain text here
        identity = found.st_dev, found.st_ino
        if found.st_ino and identity in self.seen:  # 0 where a file system has none
            return
        self.seen.add(identity)
        last = ""
        while names := _next_names(folder, last):
            yield from names
            last = names[-1][0]

    def _is_picture(self, path: str) -> bool:
        """Whether a file, or what a link leads to, is a picture; a folder behind a link is for later."""
        mode = os.stat(path).st_mode  # noqa: PTH116 - as above
        if stat.S_ISDIR(mode):
            self.links.append(path)
        return stat.S_ISREG(mode) and (is_picture_name(path) or begins_as_picture(Path(path)))


def _next_names(folder: str, last: str) -> list[tuple[str, bool]]:
    with os.scandir(folder) as entries:
        return heapq.nsmallest(
            NAMES,
            (
                (entry.name, entry.is_dir(follow_symlinks=False))
                for entry in entries
                if entry.name > last and not is_hidden(entry.name)
            ),
        )
