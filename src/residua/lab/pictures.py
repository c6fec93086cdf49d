"""The pictures of a sweep: opened and looked at once, and known by their content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from residua.data.augmentation.description import SMALL
from residua.data.checking.checked import check, usable
from residua.data.checking.examining import BITS
from residua.data.dataset import Data
from residua.data.sources.recognition import open_data
from residua.data.splitting import apply_split
from residua.data.unchanged import guarded
from residua.errors import UserError
from residua.judging.runfiles import SPLIT
from residua.training.keeping.checkpoint import read
from residua.training.keeping.folder import STATE
from residua.training.pictures.originals import NAME
from residua.training.settling.choosing import usual_size


@dataclass(frozen=True)
class Pictures:
    """Readable pictures, and the digest of all that a training can see of them."""

    data: Data
    each: NDArray[np.uint64]  # (count, 2), digests of their pixels
    digest: str
    cifar: int | None = None  # how many classes, of pictures such as CIFAR's
    side: int = SMALL  # of the squares that a training makes of them

    @property
    def photos(self) -> bool:
        """Whether they are larger than small pictures, as recipes tell them apart."""
        return self.side > SMALL

    def parted(self, run: Path) -> Data:
        """Return them in the parts that a run has put them in; that it trains on others is an error."""
        data = apply_split(self.data, run / SPLIT)
        path = run / STATE / NAME  # goes with the last measurement
        if path.exists() and not np.array_equal(read(path)["digests"].numpy().view(np.uint64), self.each):
            raise changed(self.data.where)
        return data


@lru_cache(maxsize=2)
def look_at(where: str) -> Pictures:
    """Open pictures and decode each; what an earlier check has found good is believed."""
    checked = check(open_data(where), remembered=True)
    data, good = usable(checked), checked.good
    each, known = checked.records["digest"][good], checked.stamps
    digest = hashlib.blake2b(digest_size=16)
    for words in (data.classes, data.names, data.groups or ()):
        digest.update(f"{len(words)}\0".encode())
        digest.update("\0".join(words).encode(errors="surrogatepass"))
    for numbers in (data.labels, data.parts, each):
        digest.update(np.ascontiguousarray(numbers).tobytes())
    return Pictures(
        guarded(data, each, None if known is None else known[good]),
        each,
        digest.hexdigest(),
        _cifar(len(data.classes), checked.records[checked.good]),
        _side(checked.records[checked.good]),
    )


def _cifar(classes: int, records: NDArray[np.void]) -> int | None:
    """Return the number of classes of pictures that are as many, as large and as coloured as CIFAR's."""
    sized = (records["width"] == 32).all() and (records["height"] == 32).all()
    gray = (records["traits"] & BITS["grayscale"] > 0).mean()
    return classes if len(records) >= 45_000 and sized and gray < 0.5 else None


def _side(records: NDArray[np.void]) -> int:
    """Return the size at which a training sees them: by the middle of the shorter sides."""
    return usual_size(int(min(np.median(records[side]) for side in ("width", "height"))))


def changed(where: str) -> UserError:
    """Error for pictures that are not what they were."""
    return UserError(
        f"the pictures in {where!r} changed while the sweep was at work: the same command begins with those "
        "that are there now."
    )
