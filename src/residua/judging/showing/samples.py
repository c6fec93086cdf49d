"""Which pictures a network is judged by: a part of the data, the readable ones, and what is left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from residua.data.checking import MAX_BAD
from residua.data.checking.checked import Progress, check, check_bad, check_share
from residua.data.dataset import PARTS, UNSPLIT, Data, Skipped
from residua.data.sources.recognition import open_data
from residua.data.splitting import Listed, listed
from residua.data.unchanged import guarded
from residua.errors import UserError, unknown
from residua.files import Name
from residua.judging.runfiles import SPLIT
from residua.weights import transfer

ALL = "all"


@dataclass(frozen=True)
class Samples:
    """Pictures to judge by."""

    data: Data  # these only
    part: str  # train, val, test or all
    chosen_by: str  # who says which pictures these are, in words
    bad: tuple[Skipped, ...]  # pictures of the part that cannot be read, and why
    unlisted: int = 0  # pictures of the data that the split does not list, so are in no part
    learned: int | None = None  # how many of these pictures are for training; None where nobody says
    trains: frozenset[str] = frozenset()  # their names

    def readable(self, max_bad: float = MAX_BAD, progress: Progress | None = None) -> Samples:
        """Decode all and return those that can be; more than this share of others is an error."""
        checked = check(self.data, remembered=True, progress=progress)
        data = guarded(self.data, checked.records["digest"], checked.stamps)
        return replace(self, data=data).without(checked.reasons, max_bad)

    def without(self, reasons: Mapping[int, str], max_bad: float = MAX_BAD) -> Samples:
        """Return the same without pictures that cannot be read; more than this share of them is an error."""
        if not reasons:
            return self
        lost = tuple(Skipped(self.data.names[place], reason) for place, reason in sorted(reasons.items()))
        bad = (*self.bad, *lost)
        check_bad(self.data.where, bad, len(self.data) + len(self.bad), max_bad)
        kept = self.data.keep(np.delete(np.arange(len(self.data)), list(reasons)))
        fewer = sum(each.path in self.trains for each in lost)
        return replace(self, data=kept, bad=bad, learned=self.learned and self.learned - fewer)


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
    """Return the readable pictures of a part; without one test, else val, else everything."""
    check_share(max_bad)
    found = listed_samples(data, part=part, split=split, beside=beside, root=root)
    return found.readable(max_bad, progress)


def listed_samples(
    data: Data | Name,
    *,
    part: str | None = None,
    split: Name | None = None,
    beside: Iterable[Path] = (),
    root: Name | None = None,
    fetching: transfer.Progress | None = None,
) -> Samples:
    """Return the pictures of a part, of which none is decoded yet; `fetching` hears of downloads.

    `split` is a table of path, label and split. Where neither it nor the data says what was held out, that
    of a run in one of the folders `beside` is used, if it is of this data.
    """
    if part is not None and part not in (*PARTS, ALL):
        raise unknown("part", part, (*PARTS, ALL))
    whole = data if isinstance(data, Data) else open_data(data, root=root, progress=fetching)
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
    trains = _trains(chosen, runs.values())
    learned = None if trains is None else len(trains)
    return Samples(chosen, part, chosen_by, (), len(whole) - len(parted), learned, trains or frozenset())


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


def _trains(data: Data, runs: Iterable[Listed]) -> frozenset[str] | None:
    """Name the pictures that one of the models learned from; without runs, those that are for training."""
    known = [run.data for run in runs]
    if not known and (data.parts == UNSPLIT).all():
        return None
    trains = {each.names[place] for each in known or [data] for place in each.places("train").tolist()}
    return frozenset(trains.intersection(data.names))


def _usual_part(data: Data) -> str:
    return next((part for part in ("test", "val") if len(data.places(part))), ALL)


def _parts(data: Data) -> str:
    found = [part for part in PARTS if len(data.places(part))]
    return f"it has {' and '.join(found)}" if found else "it is in no parts; --split names a table of them"
