"""Files that have to stay as they were: reading one that has become another picture is an error."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from residua.data.dataset import Data, Needed, Pixels
from residua.data.facts import BadImageError, Facts
from residua.data.pictures import Files

Pair = tuple[int, int]
Pairs = NDArray[np.uint64]  # (count, 2)


@dataclass(frozen=True)
class Unchanged:
    """Files whose pixels are known; a file is looked into again only where its size or times are others."""

    files: Files
    digests: Pairs  # of the pixels
    stamps: Pairs  # of the files when their pixels were last known to be these

    @property
    def uniform(self) -> None:
        """Nobody knows their sizes before they are read."""

    def read(self, place: int, channels: str = "rgb", needed: Needed | None = None) -> Pixels:
        """Decode a picture."""
        self._check(place)
        return self.files.read(place, channels, needed)

    def examine(self, place: int) -> Facts:
        """Decode a picture wholly and say what it is."""
        return self.files.examine(place)

    def _check(self, place: int) -> None:
        name = self.files.names[place]
        now = stamp(self.files.root, name)
        if now == tuple(self.stamps[place]):
            return
        found = np.frombuffer(self.files.examine(place).digest, "<u8")
        if not np.array_equal(found, self.digests[place]):
            raise BadImageError(name, "it has become another picture since it was checked")
        self.stamps[place] = now


def guarded(data: Data, digests: Pairs, known: Pairs | None) -> Data:
    """Return data of which a file that has become another picture is an error; only files can become one."""
    if known is None or not isinstance(data.pictures, Files):
        return data
    files = Files(data.pictures.root, data.names)
    return replace(data, pictures=Unchanged(files, digests, known), origin=None)


def stamps(root: Path, names: Iterable[str]) -> Pairs:
    """Return the stamps of files below a folder."""
    return np.array([stamp(root, name) for name in names], np.uint64).reshape(-1, 2)


def stamp(root: Path, name: str) -> Pair:
    """Hash a file's name, size and times; zeros where there is no file."""
    try:
        found = Path(root, name).stat()
    except OSError:
        return 0, 0
    facts = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {name}".encode(errors="surrogatepass")
    key = hashlib.blake2b(facts, digest_size=16).digest()
    return int.from_bytes(key[:8]), int.from_bytes(key[8:])
