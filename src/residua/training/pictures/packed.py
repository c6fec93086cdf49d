"""A run's own packed pictures: written beside it once, and again the same if they are gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from residua.data.dataset import Data, Places
from residua.data.packing.packed import open_pack
from residua.data.packing.writing import pack
from residua.errors import UserError
from residua.training.settings import Settings

NAME = "training.packed"


def packed(folder: Path, data: Data, places: Places, settings: Settings, say: Callable[[str], None]) -> Data:
    """Return the same data, whose pictures at these places are read from a file beside the run.

    The places stay, and with them order and chance. The file may be removed: it is written again, the same.
    """
    path, chosen = folder / NAME, data.keep(places)
    stored = _stored(path, chosen)
    if stored is None:
        path.unlink(missing_ok=True)
        say(f"packing {len(places):,} pictures into {path}.")
        stored = pack(chosen, path, side=settings.packed, channels=packed_channels(settings))
    origin = np.full(len(data), len(places), np.int64)  # whatever is not in the file is an error to read
    origin[places] = np.arange(len(places))
    return replace(data, pictures=stored.pictures, origin=origin)


def packed_channels(settings: Settings) -> str:
    """Return the channels of packed pictures."""
    return "gray" if settings.preprocessing.channels == "gray" else "rgb"


def _stored(path: Path, wanted: Data) -> Data | None:
    """Open what is there, if it is whole and of these pictures."""
    if not path.exists():
        return None
    try:
        stored = open_pack(path)
    except UserError:
        return None
    return stored if list(stored.names) == list(wanted.names) else None
