"""Whose class is whose: the data's classes found among the model's, by id or name, never by place."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from residua.data.dataset import Data
from residua.errors import UserError
from residua.weights.classes import match_classes, read_class_map
from residua.weights.metadata import ClassEntry
from residua.weights.model import Stored

ClassMap = Mapping[str, str] | str | os.PathLike[str]


def matched_labels(model: Stored, data: Data, class_map: ClassMap | None = None) -> NDArray[np.int32]:
    """Return every picture's class as the model numbers it; classes without pictures need not be known.

    A class map says for a class of the data which class of the model it is: a mapping, or a CSV of two
    columns, folder and class.
    """
    present = [data.classes[place] for place in np.unique(data.labels).tolist()]
    renamed = _read(class_map, data.classes)
    entries = entries_of(model)
    try:
        found = match_classes(entries, present, renamed)
    except UserError as error:
        raise UserError(f"{error}{_hint(model, present, renamed)}") from None
    number = np.array([found.get(name, -1) for name in data.classes], np.int32)
    return number[data.labels]


def entries_of(model: Stored) -> Sequence[ClassEntry]:
    """Return the model's classes; those of which nobody said the names are called by their numbers."""
    if model.classes is not None:
        return model.classes
    return [ClassEntry(id=str(place), name=str(place)) for place in range(model.network.spec.num_classes)]


def class_names(model: Stored) -> tuple[str, ...]:
    """Return the names of the model's classes; where two are alike, with their ids."""
    entries = entries_of(model)
    times = Counter(entry.name for entry in entries)
    return tuple(entry.name if times[entry.name] == 1 else f"{entry.name} ({entry.id})" for entry in entries)


def _read(class_map: ClassMap | None, classes: Sequence[str]) -> Mapping[str, str]:
    if class_map is None:
        return {}
    if isinstance(class_map, Mapping):
        return class_map
    renamed = read_class_map(Path(class_map))
    if odd := sorted(renamed.keys() - set(classes)):
        near = get_close_matches(odd[0], classes, n=1)
        hint = f": did you mean {near[0]!r}?" if near else "."
        raise UserError(f"{os.fspath(class_map)} maps {odd[0]!r}, which is no class of the data{hint}")
    return renamed


def _hint(model: Stored, present: Sequence[str], renamed: Mapping[str, str]) -> str:
    """Name the class nearest to the first that is not known."""
    if model.classes is None:
        return " Nobody said what this model's classes are called: `residua convert --classes FILE` does."
    known = {text for entry in model.classes for text in (entry.id, entry.name)}
    unknown = (renamed.get(name, name) for name in present if renamed.get(name, name) not in known)
    for name in unknown:
        if near := get_close_matches(name, known, n=1):
            return f" Nearest to {name!r} is {near[0]!r}."
    return ""
