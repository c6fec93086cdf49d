"""What earlier checks found of files that have not changed since, so that they need no decoding again."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import __version__ as decoder

from residua.data.checking.examining import RECORD
from residua.data.dataset import Places
from residua.errors import UserError
from residua.files import replacing
from residua.weights.cache import cache_folder

ENTRY = np.dtype([("key", "<u8", (2,)), ("record", RECORD)])
DIGEST = 32  # bytes before the entries
VERSION = f"residua-checks-1/{decoder}".encode()  # another decoder may think otherwise


class Memory:
    """The good pictures below one folder, by name, size and times; bad ones are always tried again."""

    def __init__(self, root: Path, stamps: NDArray[np.uint64]) -> None:
        self._keys = stamps
        folder = hashlib.blake2b(os.fsencode(root.absolute()), digest_size=12).hexdigest()
        self._path = cache_folder() / "checks" / folder

    def recall(self, records: NDArray[np.void]) -> Places:
        """Fill in what is known of the pictures, and return the rows of those that are not known."""
        entries, keys = self._entries(), self._keys
        if not len(entries):
            return np.arange(len(keys))
        at = np.searchsorted(entries["key"][:, 0], keys[:, 0]).clip(max=len(entries) - 1)
        known = (entries["key"][at] == keys).all(1) & keys.any(1)
        records[known] = entries["record"][at[known]]
        return np.flatnonzero(~known)

    def store(self, records: NDArray[np.void]) -> None:
        """Write down the good pictures; without a place to write to, nothing is remembered."""
        keys = self._keys
        good = (records["width"] > 0) & keys.any(1)
        entries = np.empty(good.sum(), ENTRY)
        entries["key"], entries["record"] = keys[good], records[good]
        content = entries[np.argsort(entries["key"][:, 0])].tobytes()
        with contextlib.suppress(OSError, UserError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path) as temporary:
                temporary.write_bytes(_digest(content) + content)

    def _entries(self) -> NDArray[np.void]:
        """Return what is written down; what is damaged, or of another version, is nothing."""
        with contextlib.suppress(OSError):
            content = self._path.read_bytes()
            if _digest(content[DIGEST:]) == content[:DIGEST]:
                return np.frombuffer(content, ENTRY, offset=DIGEST)
        return np.empty(0, ENTRY)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, key=VERSION, digest_size=DIGEST).digest()
