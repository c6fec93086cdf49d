"""Every picture decoded before it is trusted: what is wrong with data, and the data without it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from residua.data.ahead import processors
from residua.data.checking import MAX_BAD
from residua.data.checking.examining import BITS, RECORD, Answer, Chunk, examine, examine_apart
from residua.data.checking.remembering import Memory
from residua.data.dataset import Data, Pictures, Places, Skipped
from residua.data.pictures import Files
from residua.data.sources.recognition import open_data
from residua.data.sources.table import write_table
from residua.data.unchanged import stamps
from residua.errors import UserError
from residua.nets.values import within

Progress = Callable[[int, int], None]  # pictures done, pictures in all

AT_ONCE = 4096  # pictures in memory between two reports of progress
WORTH_A_PROCESS = 32  # pictures; fewer are decoded sooner than another process starts


@dataclass(frozen=True)
class Checked:
    """Data of which every picture was decoded."""

    data: Data
    records: NDArray[np.void]  # of examining.RECORD, one for each picture
    reasons: dict[int, str]  # by place, why the bad ones cannot be read
    stamps: NDArray[np.uint64] | None = None  # of files, as they were before they were decoded

    @property
    def good(self) -> Places:
        """Return the pictures that were decoded whole."""
        mask = np.ones(len(self.data), bool)
        mask[list(self.reasons)] = False
        return np.flatnonzero(mask)

    def having(self, trait: str) -> Places:
        """Return the pictures with one of `facts.TRAITS`."""
        return np.flatnonzero(self.records["traits"] & BITS[trait])

    def twins(self) -> list[Places]:
        """Return groups of pictures with the same pixels."""
        good = self.good
        high, low = self.records["digest"][good].T
        order = np.lexsort((good, low, high))
        new = (np.diff(high[order]) != 0) | (np.diff(low[order]) != 0)
        edges = np.concatenate([[0], np.flatnonzero(new) + 1, [len(order)]])
        groups = [good[order[edges[run] : edges[run + 1]]] for run in np.flatnonzero(np.diff(edges) > 1)]
        return sorted(groups, key=lambda group: int(group[0]))


def check(
    data: Data | str | os.PathLike[str],
    *,
    remembered: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Checked:
    """Decode every picture, on all cores unless `workers` says otherwise.

    With `remembered`, files that an earlier check found good and that have not changed since are not decoded.
    """
    if not isinstance(data, Data):
        data = open_data(data)
    if workers is not None and workers < 1:
        raise UserError(f"workers={workers} is not valid: it must be at least 1.")
    places = np.arange(len(data)) if data.origin is None else data.origin
    records = np.zeros(len(data), RECORD)
    known = _stamps(data)
    memory = _memory(data, known)
    rows = memory.recall(records) if memory and remembered else np.arange(len(data))
    reasons: dict[int, str] = {}
    done = len(data) - len(rows)
    for answer in _answers(data.pictures, places[rows], workers):
        done += len(answer.records)
        records[rows[answer.start :][: len(answer.records)]] = answer.records
        reasons |= {int(rows[row]): reason for row, reason in answer.reasons.items()}
        if progress:
            progress(done, len(data))
    if memory:
        memory.store(records)
    return Checked(data, records, dict(sorted(reasons.items())), known)


def _stamps(data: Data) -> NDArray[np.uint64] | None:
    """Return the stamps of files."""
    return stamps(data.pictures.root, data.names) if isinstance(data.pictures, Files) else None


def _memory(data: Data, known: NDArray[np.uint64] | None) -> Memory | None:
    """Return what is known of files; arrays are as quick to look at again."""
    if known is None or not isinstance(data.pictures, Files):
        return None
    with contextlib.suppress(UserError):  # there may be no cache
        return Memory(data.pictures.root, known)
    return None


def _answers(pictures: Pictures, places: Places, workers: int | None) -> Iterator[Answer]:
    if pictures.uniform is None:
        helpful = -(-len(places) // WORTH_A_PROCESS)
        return examine_apart(pictures, places, min(workers or processors(), helpful))
    # An array has nothing to decode that could crash.
    chunks = (Chunk(start, places[start : start + AT_ONCE]) for start in range(0, len(places), AT_ONCE))
    return (examine(pictures, chunk) for chunk in chunks)


def check_share(max_bad: float) -> None:
    """Refuse what is no share."""
    within("max_bad", max_bad, 0, 1, closed=True)


def readable(checked: Checked, max_bad: float = MAX_BAD) -> Data:
    """Return the data without the bad pictures; more than this share of them is an error, and so are all."""
    data = checked.data
    bad = [Skipped(data.names[place], reason) for place, reason in checked.reasons.items()]
    check_bad(data.where, bad, len(data), max_bad)
    return data.keep(checked.good) if bad else data


def check_bad(where: str, bad: Sequence[Skipped], count: int, max_bad: float = MAX_BAD) -> None:
    """Refuse more than this share of bad pictures among so many, or no others."""
    check_share(max_bad)
    if len(bad) > max_bad * count or len(bad) == count:
        first = f"{bad[0].path!r} ({bad[0].reason})"
        raise UserError(
            f"{where!r} cannot be used: {len(bad):,} of {count:,} pictures ({len(bad) / count:.1%}) "
            f"cannot be read, such as {first}, and at most {max_bad:.1%} may be bad."
        )


def usable(checked: Checked, max_bad: float = MAX_BAD) -> Data:
    """Return the readable data, to train on; that there are not two classes of it is an error."""
    kept = readable(checked, max_bad)
    if len(kept.classes) < 2:
        only = f"{kept.where!r} has one class only, {kept.classes[0]!r}"
        raise UserError(f"{only}: a classifier needs at least two classes.")
    if len(np.unique(kept.labels)) < 2:
        raise UserError(f"{kept.where!r} cannot be used: not even two classes have a readable picture.")
    return kept


def write_bad_images(path: Path, checked: Checked) -> None:
    """Write a table of the pictures that cannot be read, and why."""
    rows = [(checked.data.names[place], reason) for place, reason in checked.reasons.items()]
    write_table(path, [("path", "reason"), *rows])
