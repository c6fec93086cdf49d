"""Checked data as training will use it: its parts, counts and sizes, for people and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.data.checking import MAX_BAD
from residua.data.checking.checked import Checked, usable
from residua.data.dataset import PARTS, UNSPLIT, Data, Places
from residua.data.facts import TRAITS
from residua.data.splitting import split
from residua.errors import UserError

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Twins:
    """Pictures with the same pixels."""

    places: Places
    across_parts: bool
    across_classes: bool


@dataclass(frozen=True)
class Overview:
    """What a check has found, beside the parts that training would use."""

    checked: Checked
    training: Data | None  # without the bad pictures, and split; None where the data cannot be used
    unusable: str | None  # why it cannot
    parts: NDArray[np.int8]  # of every picture; those that are bad or cannot be used keep the part they had

    @property
    def data(self) -> Data:
        """Return the data as it was found."""
        return self.checked.data

    @property
    def split_made(self) -> bool:
        """Whether the parts are Residua's and not the data's own."""
        return not np.array_equal(self.parts, self.data.parts)

    @cached_property
    def counts(self) -> Numbers:
        """Count the good pictures by class and part."""
        good = self.checked.good
        inside = good[self.parts[good] != UNSPLIT]
        cells = self.data.labels[inside].astype(np.int64) * len(PARTS) + self.parts[inside]
        flat = np.bincount(cells, minlength=len(self.data.classes) * len(PARTS))
        return flat.reshape(-1, len(PARTS))

    @cached_property
    def class_sizes(self) -> Numbers:
        """Count the good pictures by class."""
        return np.bincount(self.data.labels[self.checked.good], minlength=len(self.data.classes))

    @property
    def splits(self) -> dict[str, int]:
        """Count the good pictures of every part that has any."""
        sums = self.counts.sum(0).tolist()
        return {part: count for part, count in zip(PARTS, sums, strict=True) if count}

    @property
    def missing_classes(self) -> dict[str, list[str]]:
        """Name the classes without a good picture in a part that there is, or that has to be."""
        parts = {"train": 0} | self.splits if self.splits else {}
        absent = {part: np.flatnonzero(self.counts[:, PARTS.index(part)] == 0) for part in parts}
        classes = self.data.classes
        return {part: [classes[place] for place in places] for part, places in absent.items() if len(places)}

    @cached_property
    def twins(self) -> list[Twins]:
        """Return the groups of pictures with the same pixels."""
        labels = self.data.labels
        return [
            Twins(places, len(set(self.parts[places])) > 1, len(set(labels[places])) > 1)
            for places in self.checked.twins()
        ]

    @cached_property
    def divided_groups(self) -> list[str]:
        """Name the groups of pictures that lie in more than one part."""
        first: dict[str, int] = {}
        groups = zip(self.data.groups or (), self.parts.tolist(), strict=bool(self.data.groups))
        return sorted({group for group, part in groups if group and first.setdefault(group, part) != part})

    @property
    def gray(self) -> bool:
        """Whether no good picture has colours."""
        return len(self.checked.having("grayscale")) == len(self.checked.good)

    @property
    def imbalance(self) -> float | None:
        """Divide the largest class's pictures by the smallest's; None where a class has none."""
        smallest, largest = int(self.class_sizes.min()), int(self.class_sizes.max())
        return largest / smallest if smallest else None

    @property
    def sizes(self) -> dict[str, dict[str, float]]:
        """Return the least, middle and greatest width and height."""
        records = self.checked.records[self.checked.good]
        if not len(records):
            return {}
        return {side: _spread(records[side]) for side in ("width", "height")}

    def class_and_part(self, place: int) -> str:
        """Say a picture's class and part."""
        label = self.data.classes[self.data.labels[place]]
        part = self.parts[place]
        return label if part == UNSPLIT else f"{label}, {PARTS[part]}"


def overview(checked: Checked, *, val: float = 0.1, seed: int = 0, max_bad: float = MAX_BAD) -> Overview:
    """Leave out the bad pictures and split the rest, as training does; equal pictures never part."""
    try:
        kept = usable(checked, max_bad)
    except UserError as error:
        return Overview(checked, None, str(error), checked.data.parts)
    tied = [[checked.data.names[place] for place in places] for places in checked.twins()]
    training = split(kept, val=val, seed=seed, tied=tied)
    parts = checked.data.parts.copy()
    parts[checked.good] = training.parts
    return Overview(checked, training, None, parts)


def as_json(found: Overview, code: int) -> dict[str, Any]:
    """Everything that was found, as docs/check.md describes it."""
    data, checked = found.data, found.checked
    names = data.names
    sizes = np.bincount(data.labels, minlength=len(data.classes)).tolist()
    return {
        "data": data.where,
        "kind": data.kind,
        "images": len(data),
        "classes": dict(zip(data.classes, sizes, strict=True)),
        "splits": found.splits,
        "split_made": found.split_made,
        "missing_classes": found.missing_classes,
        "bad": [{"path": names[place], "reason": reason} for place, reason in checked.reasons.items()],
        "duplicates": [
            {
                "paths": [names[place] for place in twins.places],
                "across_splits": twins.across_parts,
                "across_classes": twins.across_classes,
            }
            for twins in found.twins
        ],
        "groups_across_splits": found.divided_groups,
        "traits": {trait: [names[place] for place in places] for trait, places in _traits(checked).items()},
        "sizes": found.sizes,
        "imbalance": found.imbalance,
        "skipped": [{"path": skipped.path, "reason": skipped.reason} for skipped in data.skipped],
        "unusable": found.unusable,
        "exit": code,
    }


def _traits(checked: Checked) -> dict[str, Places]:
    every = {trait: checked.having(trait) for trait in TRAITS}
    return {trait: places for trait, places in every.items() if len(places)}


def _spread(values: NDArray[np.int32]) -> dict[str, float]:
    return {"min": int(values.min()), "median": float(np.median(values)), "max": int(values.max())}
