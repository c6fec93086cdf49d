"""Parting pictures into train, val and test: alike in classes, the same every time, groups kept whole."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Self

import numpy as np

from residua.data.dataset import PARTS, UNSPLIT, Data
from residua.data.sources.labels import numbered_parts, part_named
from residua.data.sources.table import read_rows, write_table
from residua.errors import UserError

TRAIN = PARTS.index("train")
Unit = list[int]  # places of pictures that stay together


def split(
    data: Data, *, val: float = 0.1, test: float = 0.0, seed: int = 0, tied: Iterable[Sequence[str]] = ()
) -> Data:
    """Return the data with the parts that it lacks taken from its training pictures.

    Every class gives its share, and at least one picture where it has two. Which ones depends on the seed and
    on their names alone. Pictures of one group never part, nor do those whose names are `tied` together.
    """
    if not (val >= 0 and test >= 0 and val + test < 1):
        raise UserError(f"val={val!r} and test={test!r} are not valid: they are shares, below 1 in all.")
    parts = np.where(data.parts == UNSPLIT, TRAIN, data.parts).astype(np.int8)
    wanted = {"val": val, "test": test}
    shares = {part: share for part, share in wanted.items() if share and not len(data.places(part))}
    if shares:
        pool = _Pool(data, seed, _units(data, tied), np.flatnonzero(parts == TRAIN).tolist())
        for part, share in shares.items():
            parts[pool.take(share)] = PARTS.index(part)
    return replace(data, parts=parts)


def write_split(path: Path, data: Data) -> None:
    """Write which part each picture of parted data belongs to, as a table that `apply_split` reads."""
    columns: dict[str, Iterable[str]] = {
        "path": data.names,
        "label": (data.classes[label] for label in data.labels),
        "split": (PARTS[part] if part != UNSPLIT else "" for part in data.parts),
    }
    if data.groups is not None:
        columns["group"] = data.groups
    write_table(path, (list(columns), *zip(*columns.values(), strict=True)))


@dataclass(frozen=True)
class Listed:
    """What a table of parts says of data."""

    data: Data  # the pictures that it lists, in its parts
    unlisted: list[str]  # pictures of the data that it does not list
    gone: int  # pictures that it lists and the data does not have
    fault: str | None  # the first thing in which it is not of this data

    def checked(self) -> Self:
        """Return the same; that it lists other pictures, or by other labels, is an error."""
        if self.fault:
            raise UserError(self.fault)
        return self


def listed(data: Data, path: Path) -> Listed:
    """Hold a table of path, label and split against data."""
    return rows_listed(data, path, read_rows(path, ("path", "label", "split"), ("group",)))


def rows_listed(data: Data, path: Path, rows: Iterable[Mapping[str, str]]) -> Listed:
    """Hold rows of such a table against data."""
    place_of = {name: place for place, name in enumerate(data.names)}
    parts: dict[str, str] = {}
    faults: list[str] = []
    for row in rows:
        name, where = row["path"], f"row {row['row']} of {str(path)!r}"
        if name in parts:
            raise UserError(f"{where} names {name!r} a second time.")
        part = part_named(row["split"])
        if part is None:
            raise UserError(f"{where} has the split {row['split']!r}: it must be train, val or test.")
        parts[name] = part
        if faults:
            continue
        if name not in place_of:
            faults.append(f"{where} names {name!r}, which {data.where!r} does not have.")
        elif row["label"] != (label := data.classes[data.labels[place_of[name]]]):
            faults.append(f"{where} gives {name!r} the label {row['label']!r}, not {label!r}.")
    unlisted = [name for name in data.names if name not in parts]
    places = [place for name, place in place_of.items() if name in parts]
    kept = data.keep(np.array(places, np.int64)) if unlisted else data
    kept = replace(kept, parts=numbered_parts([parts[name] for name in kept.names]))
    return Listed(kept, unlisted, len(parts) - len(kept), faults[0] if faults else None)


def apply_split(data: Data, path: Path) -> Data:
    """Return the data with the parts of a table that names exactly its pictures, with their labels."""
    found = listed(data, path).checked()
    if missing := found.unlisted:
        raise UserError(f"{str(path)!r} lacks {len(missing)} pictures, the first is {missing[0]!r}.")
    return found.data


class _Pool:
    """Training pictures to take from, in units, in the order of a draw."""

    def __init__(self, data: Data, seed: int, unit_of: Sequence[int], places: Sequence[int]) -> None:
        drawn = {place: _drawn(seed, data.names[place]) for place in places}
        turn: dict[int, bytes] = {}  # a unit's is the first of its pictures'
        for place in places:
            turn[unit_of[place]] = min(drawn[place], turn.get(unit_of[place], drawn[place]))
        order = sorted(places, key=lambda place: turn[unit_of[place]])
        self.units: list[Unit] = [list(unit) for _, unit in groupby(order, key=unit_of.__getitem__)]
        self.labels = data.labels.tolist()
        self.all = Counter(self.labels[place] for place in places)
        self.left = self.all.copy()

    def take(self, share: float) -> list[int]:
        """Take units until every class has given about its share; of each class a picture stays."""
        need = {
            label: min(max(1, round(share * count)), self.left[label] - 1)
            for label, count in self.all.items()
        }
        wanting = {label for label, count in need.items() if count > 0}
        lacking = wanting.copy()
        taken: list[Unit] = []
        for unit in self.units:
            if not wanting:
                break
            sizes = self._sizes(unit)
            if self._can_spare(sizes) and _gain(sizes, need) > 0:
                self._move(sizes, need)
                taken.append(unit)
                lacking -= sizes.keys()
                wanting -= {label for label in sizes if need[label] <= 0}
        taken += self._least_harm(lacking, need)
        gone = {unit[0] for unit in taken}
        self.units = [unit for unit in self.units if unit[0] not in gone]
        return [place for unit in taken for place in unit]

    def _least_harm(self, lacking: set[int], need: dict[int, int]) -> list[Unit]:
        """For each class whose units are all larger than its share, take the one that does least harm."""
        having: defaultdict[int, list[Unit]] = defaultdict(list)
        for unit in self.units if lacking else ():
            for label in lacking & self._sizes(unit).keys():
                having[label].append(unit)
        taken: list[Unit] = []
        for label in sorted(lacking):
            able = [unit for unit in having[label] if self._can_spare(self._sizes(unit))]
            if label in lacking and able:
                best = max(able, key=lambda unit: _gain(self._sizes(unit), need))
                self._move(self._sizes(best), need)
                taken.append(best)
                lacking -= self._sizes(best).keys()
        return taken

    def _sizes(self, unit: Unit) -> Mapping[int, int]:
        """How many pictures of each class a unit has."""
        return {self.labels[unit[0]]: 1} if len(unit) == 1 else Counter(self.labels[place] for place in unit)

    def _can_spare(self, sizes: Mapping[int, int]) -> bool:
        return all(self.left[label] > size for label, size in sizes.items())

    def _move(self, sizes: Mapping[int, int], need: dict[int, int]) -> None:
        for label, size in sizes.items():
            need[label] -= size
            self.left[label] -= size


def _gain(sizes: Mapping[int, int], need: Mapping[int, int]) -> int:
    """How much less the squared distance to what is needed would be with these pictures."""
    return sum(size * (2 * need[label] - size) for label, size in sizes.items())


def _drawn(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{name}".encode(errors="surrogatepass"), digest_size=12).digest()


def _units(data: Data, tied: Iterable[Sequence[str]]) -> list[int]:
    """Return for each picture the place of one that stands for all that must stay with it."""
    unit = list(range(len(data)))

    def top(place: int) -> int:
        while unit[place] != place:
            unit[place] = unit[unit[place]]
            place = unit[place]
        return place

    for first, *others in _together(data, tied):
        for other in others:
            unit[top(other)] = top(first)
    return [top(place) for place in unit]


def _together(data: Data, tied: Iterable[Sequence[str]]) -> Iterable[list[int]]:
    """Yield places of pictures of one group, and of tied ones that are in the data."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for place, group in enumerate(data.groups or ()):
        groups[group].append(place)
    groups.pop("", None)  # pictures of no group
    yield from groups.values()
    if tied := list(tied):
        place_of = {name: place for place, name in enumerate(data.names)}
        for names in tied:
            if places := [place_of[name] for name in names if name in place_of]:
                yield places
