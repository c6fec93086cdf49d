"""Which pictures a network is judged by: a part of the data, the readable ones, and what is left out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from residua.data.checking.checked import MAX_BAD, Progress, check
from residua.data.dataset import PARTS, Data, Skipped
from residua.data.sources.recognition import open_data
from residua.data.sources.table import read_rows
from residua.data.splitting import apply_split
from residua.errors import UserError, unknown

SPLIT = "split.csv"  # as a training writes it beside its models
ALL = "all"
Name = str | os.PathLike[str]


@dataclass(frozen=True)
class Samples:
    """Pictures to judge by."""

    data: Data  # these only, all readable
    part: str  # train, val, test or all
    chosen_by: str  # who says which pictures these are, in words
    bad: tuple[Skipped, ...]  # pictures of the part that cannot be read, and why
    unlisted: int = 0  # pictures of the data that the split does not list, so are in no part


def choose_samples(
    data: Data | Name,
    *,
    part: str | None = None,
    split: Name | None = None,
    beside: Iterable[Path] = (),
    root: Name | None = None,
    max_bad: float = MAX_BAD,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Samples:
    """Return the readable pictures of a part; without one test, else val, else everything.

    `split` is a table of path, label and split. Where neither it nor the data says what was held out, that
    of a run in one of the folders `beside` is used, if it is of this data.
    """
    if part is not None and part not in (*PARTS, ALL):
        raise unknown("part", part, (*PARTS, ALL))
    if not 0 <= max_bad <= 1:
        raise UserError(f"max_bad={max_bad:g} is not valid: it is a share, from 0 to 1.")
    whole = data if isinstance(data, Data) else open_data(data, root=root)
    if split is not None:
        parted, chosen_by = _listed(whole, Path(split)), f"as {os.fspath(split)} says"
    elif part == ALL or any(len(whole.places(held_out)) for held_out in ("val", "test")):
        parted, chosen_by = whole, "as the data says"
    else:
        parted, chosen_by = _beside(whole, beside)
    part = part or _usual_part(parted)
    places = np.arange(len(parted)) if part == ALL else parted.places(part)
    if not len(places):
        raise UserError(f"{whole.where!r} has no pictures in {part}: {_parts(parted)}.")
    chosen = parted if len(places) == len(parted) else parted.keep(places)
    kept, bad = _readable(chosen, max_bad, workers, progress)
    return Samples(kept, part, chosen_by, bad, len(whole) - len(parted))


def _beside(whole: Data, folders: Iterable[Path]) -> tuple[Data, str]:
    """Return the data parted as the runs say that the models come from; a run of other data says nothing."""
    files = [folder / SPLIT for folder in dict.fromkeys(folders) if (folder / SPLIT).is_file()]
    files = [file for file in files if not _paths(file).isdisjoint(whole.names)]
    if not files:
        return whole, "as the data says"
    try:
        found = [_listed(whole, file) for file in files]
    except UserError as error:
        raise UserError(f"{error} That is a run's; say --split FILE or --part all to do without.") from None
    for file, other in zip(files[1:], found[1:], strict=True):
        if other.names != found[0].names or (other.parts != found[0].parts).any():
            raise UserError(
                f"{str(files[0])!r} and {str(file)!r} hold out different pictures: say with --split which to "
                "judge by, or with --part all to judge by all of them."
            )
    return found[0], f"as {files[0]} says, which lies beside the model"


def _paths(split: Path) -> set[str]:
    return {row["path"] for row in read_rows(split, ("path", "label", "split"), ("group",))}


def _listed(whole: Data, split: Path) -> Data:
    """Return the pictures that a split lists, with their parts."""
    listed = _paths(split)
    places = [place for place, name in enumerate(whole.names) if name in listed]
    kept = whole if len(places) == len(whole) else whole.keep(np.array(places, np.int64))
    return apply_split(kept, split)


def _usual_part(data: Data) -> str:
    return next((part for part in ("test", "val") if len(data.places(part))), ALL)


def _parts(data: Data) -> str:
    found = [part for part in PARTS if len(data.places(part))]
    return f"it has {' and '.join(found)}" if found else "it is in no parts; --split names a table of them"


def _readable(
    data: Data, max_bad: float, workers: int | None, progress: Progress | None
) -> tuple[Data, tuple[Skipped, ...]]:
    """Return the pictures that can be read, and name the others."""
    checked = check(data, remembered=True, workers=workers, progress=progress)
    bad = tuple(Skipped(data.names[place], reason) for place, reason in checked.reasons.items())
    share = len(bad) / len(data)
    if share > max_bad or share == 1:
        raise UserError(
            f"{data.where!r} cannot be judged by: {len(bad):,} of {len(data):,} pictures ({share:.1%}) "
            f"cannot be read, such as {bad[0].path!r} ({bad[0].reason}); at most {max_bad:.1%} may be bad."
        )
    return data.keep(checked.good) if bad else data, bad
