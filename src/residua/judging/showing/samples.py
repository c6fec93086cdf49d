"""Which pictures a network is judged by: a part of the data, the readable ones, and what is left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from residua.data.checking import MAX_BAD
from residua.data.checking.checked import Progress, check, check_share, readable
from residua.data.dataset import PARTS, UNSPLIT, Data, Skipped
from residua.data.sources.recognition import open_data
from residua.data.splitting import Listed, listed
from residua.errors import UserError, unknown
from residua.judging.runfiles import SPLIT

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
    learned: int | None = None  # how many of these pictures are for training; None where nobody says


def choose_samples(
    data: Data | Name,
    *,
    part: str | None = None,
    split: Name | None = None,
    beside: Iterable[Path] = (),
    root: Name | None = None,
    max_bad: float = MAX_BAD,
    progress: Progress | None = None,
) -> Samples:
    """Return the readable pictures of a part; without one test, else val, else everything.

    `split` is a table of path, label and split. Where neither it nor the data says what was held out, that
    of a run in one of the folders `beside` is used, if it is of this data.
    """
    if part is not None and part not in (*PARTS, ALL):
        raise unknown("part", part, (*PARTS, ALL))
    check_share(max_bad)
    whole = data if isinstance(data, Data) else open_data(data, root=root)
    own = part == ALL or any(len(whole.places(held_out)) for held_out in ("val", "test"))
    runs = _runs(whole, beside, needed=split is None and not own)
    if split is not None:
        parted, chosen_by = listed(whole, Path(split)).checked().data, f"as {os.fspath(split)} says"
    elif own or not runs:
        parted, chosen_by = whole, "as the data says"
    else:
        parted, chosen_by = _held_out(runs)
    part = part or _usual_part(parted)
    places = np.arange(len(parted)) if part == ALL else parted.places(part)
    if not len(places):
        raise UserError(f"{whole.where!r} has no pictures in {part}: {_parts(parted)}.")
    chosen = parted if len(places) == len(parted) else parted.keep(places)
    checked = check(chosen, remembered=True, progress=progress)
    kept = readable(checked, max_bad)
    bad = tuple(Skipped(chosen.names[place], reason) for place, reason in checked.reasons.items())
    return Samples(kept, part, chosen_by, bad, len(whole) - len(parted), _learned(kept, runs.values()))


def _runs(whole: Data, folders: Iterable[Path], needed: bool) -> dict[Path, Listed]:
    """Return what the runs say that the models come from, by file; one of other data says nothing."""
    files = [folder / SPLIT for folder in dict.fromkeys(folders) if (folder / SPLIT).is_file()]
    runs: dict[Path, Listed] = {}
    for file in files:
        try:
            found = listed(whole, file)
            if len(found.data):
                runs[file] = found.checked() if needed else found
        except UserError as error:
            if needed:
                raise UserError(
                    f"{error} That is a run's; say --split FILE or --part all to do without."
                ) from None
    return runs


def _held_out(runs: Mapping[Path, Listed]) -> tuple[Data, str]:
    """Return the data parted as the runs have it, who must agree."""
    (first, found), *others = runs.items()
    for file, other in others:
        if other.data.names != found.data.names or (other.data.parts != found.data.parts).any():
            raise UserError(
                f"{str(first)!r} and {str(file)!r} hold out different pictures: say with --split which to "
                "judge by, or with --part all to judge by all of them."
            )
    return found.data, f"as {first} says, which lies beside the model"


def _learned(data: Data, runs: Iterable[Listed]) -> int | None:
    """Count the pictures that one of the models learned from; without runs, those that are for training."""
    if known := [run.data for run in runs]:
        trains = {each.names[place] for each in known for place in each.places("train").tolist()}
        return sum(name in trains for name in data.names)
    return None if (data.parts == UNSPLIT).all() else len(data.places("train"))


def _usual_part(data: Data) -> str:
    return next((part for part in ("test", "val") if len(data.places(part))), ALL)


def _parts(data: Data) -> str:
    found = [part for part in PARTS if len(data.places(part))]
    return f"it has {' and '.join(found)}" if found else "it is in no parts; --split names a table of them"
