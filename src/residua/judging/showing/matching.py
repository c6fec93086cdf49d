"""Whose class is whose: the data's classes found among the model's, by id or name, never by place."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from residua.data.dataset import Data
from residua.errors import UserError
from residua.nets.values import checked
from residua.weights.classes import match_classes, read_class_map
from residua.weights.model import Stored

ClassMap = Mapping[str, str] | str | os.PathLike[str]


def matched_labels(model: Stored, data: Data, class_map: ClassMap | None = None) -> NDArray[np.int32]:
    """Return every picture's class as the model numbers it; classes without pictures need not be known.

    A class map says for a class of the data which class of the model it is: a mapping, or a CSV of two
    columns, folder and class.
    """
    present = [data.classes[place] for place in np.unique(data.labels).tolist()]
    try:
        found = match_classes(model.entries, present, _read(class_map, data.classes))
    except UserError as error:
        if model.classes is not None:
            raise
        raise UserError(
            f"{error} Nobody said what this model calls its classes: `residua convert --classes FILE` does."
        ) from None
    number = np.array([found.get(name, -1) for name in data.classes], np.int32)
    return number[data.labels]


def class_names(model: Stored) -> tuple[str, ...]:
    """Return the names of the model's classes; where two are alike, with their ids."""
    entries = model.entries
    times = Counter(entry.name for entry in entries)
    return tuple(entry.name if times[entry.name] == 1 else f"{entry.name} ({entry.id})" for entry in entries)


def _read(class_map: ClassMap | None, classes: Sequence[str]) -> Mapping[str, str]:
    if class_map is None:
        return {}
    if isinstance(class_map, Mapping):
        renamed, name = {_text(key): _text(value) for key, value in class_map.items()}, "class_map"
    else:
        renamed, name = read_class_map(Path(class_map)), os.fspath(class_map)
    known = {normalize("NFC", each) for each in classes}  # as the classes are matched
    if odd := sorted(each for each in renamed if normalize("NFC", each) not in known):
        near = get_close_matches(odd[0], classes, n=1)
        hint = f": did you mean {near[0]!r}?" if near else "."
        raise UserError(f"{name} maps {odd[0]!r}, which is no class of the data{hint}")
    return renamed


def _text(name: object) -> str:
    text: str = checked("class_map", name, str)
    return text
