"""What class and part folders and tables mean: classes map by name, never by their place in a list."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from residua.data.dataset import PARTS, UNSPLIT
from residua.errors import unknown

# What people call the three parts, in small letters.
PART_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def part_named(name: str) -> str | None:
    """Return which part a folder or a cell names, in any case of letters; None if it names none."""
    return PART_NAMES.get(name.lower())


def numbered_parts(parts: Sequence[str | None]) -> NDArray[np.int8]:
    """Return each picture's part as its place in PARTS."""
    number: dict[str | None, int] = {part: place for place, part in enumerate(PARTS)}
    number[None] = UNSPLIT
    return np.fromiter((number[part] for part in parts), np.int8, len(parts))


def numbered_classes(
    where: str, labels: Sequence[str], parts: NDArray[np.int8]
) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Return the classes, sorted by name, and each picture's place among them.

    The classes are those of the training pictures, or all where there are none.
    """
    training = parts == PARTS.index("train")
    known = {label for label, trains in zip(labels, training, strict=True) if trains} or set(labels)
    spelled: dict[str, str] = {}  # macOS spells accents in another way
    for label in sorted(known):
        spelled.setdefault(unicodedata.normalize("NFC", label), label)
    classes = tuple(sorted(spelled.values()))
    place = {label: place for place, label in enumerate(classes)}
    number: dict[str, int] = {}
    for label in sorted(set(labels)):
        plain = unicodedata.normalize("NFC", label)
        if plain not in spelled:
            raise unknown(f"class in {where!r}, which the training pictures do not have,", label, classes)
        number[label] = place[spelled[plain]]
    return classes, np.fromiter((number[label] for label in labels), np.int32, len(labels))
