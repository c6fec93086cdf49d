"""The pictures of a sweep: opened and looked at once, and known by their content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from residua.data.checking.checked import check, usable
from residua.data.dataset import Data
from residua.data.sources.recognition import open_data
from residua.data.splitting import apply_split
from residua.judging.runfiles import SPLIT


@dataclass(frozen=True)
class Pictures:
    """Readable pictures, and the digest of all that a training can see of them."""

    data: Data
    digest: str

    def parted(self, run: Path) -> Data:
        """Return them in the parts that a run has put them in."""
        return apply_split(self.data, run / SPLIT)


@lru_cache(maxsize=2)
def look_at(where: str) -> Pictures:
    """Open pictures and decode each; what an earlier check has found good is believed."""
    checked = check(open_data(where), remembered=True)
    data = usable(checked)
    digest = hashlib.blake2b(digest_size=16)
    for words in (data.classes, data.names, data.groups or ()):
        digest.update(f"{len(words)}\0".encode())
        digest.update("\0".join(words).encode(errors="surrogatepass"))
    for numbers in (data.labels, data.parts, checked.records["digest"][checked.good]):
        digest.update(np.ascontiguousarray(numbers).tobytes())
    return Pictures(data, digest.hexdigest())
