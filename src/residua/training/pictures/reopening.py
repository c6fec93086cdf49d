"""The pictures of a run, opened again: those of its split, in its order, with the numbers of its classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from residua.data.dataset import Data
from residua.data.sources.recognition import is_named, open_data
from residua.data.sources.table import read_rows
from residua.data.splitting import apply_split
from residua.errors import UserError
from residua.judging.runfiles import CLASSES, CONFIG, SPLIT
from residua.training.keeping.run import Run
from residua.training.settings import Settings


def same_pictures(run: Run, settings: Settings) -> Data:
    """Open the pictures that a run began with; one that is gone is an error."""
    data = _opened(run, settings)
    place_of = {name: place for place, name in enumerate(data.names)}
    split = run.folder / SPLIT
    names = [row["path"] for row in read_rows(split, ("path", "label", "split"), ("group",))]
    if gone := [name for name in names if name not in place_of]:
        count = "A picture" if len(gone) == 1 else f"{len(gone):,} pictures"
        raise UserError(
            f"{count} of {run.folder} cannot be found in {settings.data!r}, as {gone[0]!r}: "
            f"put it back, and `residua train --resume {run.folder}` goes on."
        )
    kept = apply_split(data.keep(np.array([place_of[name] for name in names], np.int64)), split)
    return _numbered(kept, run, settings.spec.num_classes)


def _opened(run: Run, settings: Settings) -> Data:
    """Open data that may be named relative to the folder that the run was begun in."""

    def found(name: str) -> str:
        there = run.begun_in / name
        return str(there) if there.exists() and not is_named(name) else name

    try:
        data = open_data(found(settings.data), root=settings.root and found(settings.root))
    except UserError as error:
        raise UserError(
            f"{error} If it was moved, write where it is as `data` into {run.folder / CONFIG}."
        ) from None
    return replace(data, where=settings.data)


def _numbered(data: Data, run: Run, count: int) -> Data:
    """Give every class the number that it had when the run began: classes may have come before it since."""
    classes = run.read_json(CLASSES)
    place = {str(name): number for number, name in enumerate(classes)} if isinstance(classes, list) else {}
    labels = np.array([place.get(name, -1) for name in data.classes], np.int32)[data.labels]
    if len(place) != count or (labels < 0).any():
        raise UserError(
            f"{run.folder / CLASSES} was changed: it must name the run's {count:,} classes in their order."
        )
    return replace(data, classes=tuple(classes), labels=labels)
