"""Whether packing pays: it must fit, and the epochs must win more time than packing takes."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from residua.data.ahead import processors
from residua.data.dataset import Data, Places
from residua.data.packing.writing import amount, limited, sample, shrunk

SHARE = 2  # at most half of the free disk, and of the memory that keeps a file read again and again


@dataclass(frozen=True)
class Verdict:
    """Whether to pack, and why, in a sentence for the user."""

    pack: bool
    size: int  # bytes, about
    saved: float  # seconds of all epochs together, less those of packing
    sentence: str


def pays(data: Data, side: int | None, epochs: int, folder: Path, channels: str = "rgb") -> Verdict:
    """Decide whether to pack the data into a folder before so many epochs, by trying a few pictures."""
    if data.kind == "packed" or data.pictures.uniform is not None:
        return Verdict(False, 0, 0.0, "Not packed: the pictures are decoded already.")
    size, saved = _measured(data, sample(len(data)), side, epochs, folder, channels)
    free, memory = shutil.disk_usage(folder).free, _memory()
    if size > free // SHARE:
        reason = f"{amount(size)} are more than half of the {amount(free)} that are free in {str(folder)!r}"
    elif size > memory // SHARE:
        reason = f"{amount(size)} are more than half of the {amount(memory)} of memory"
    elif saved <= 0:
        reason = f"{epochs} {'epoch' if epochs == 1 else 'epochs'} would win no time"
    else:
        sentence = f"Packed: {amount(size)}, which saves about {_duration(saved)} in {epochs} epochs."
        return Verdict(True, size, saved, sentence)
    return Verdict(False, size, saved, f"Not packed: {reason}.")


def _measured(
    data: Data, places: Places, side: int | None, epochs: int, folder: Path, channels: str
) -> tuple[int, float]:
    """Return the bytes and the seconds saved, as a few pictures tell of all."""
    start = time.perf_counter()
    for place in places.tolist():
        data.read(place, channels, limited(side))
    reading = time.perf_counter() - start
    start = time.perf_counter()
    pixels = [shrunk(data, place, side, channels) for place in places.tolist()]
    shrinking = time.perf_counter() - start
    start = time.perf_counter()
    with tempfile.TemporaryFile(dir=folder) as file:
        np.concatenate([each.ravel() for each in pixels]).tofile(file)
        file.flush()
        os.fsync(file.fileno())
    writing = time.perf_counter() - start
    times = len(data) / len(places)
    saved = (epochs * reading - shrinking) / processors() - writing
    return round(times * sum(each.nbytes for each in pixels)), times * saved


def _memory() -> float:
    if not hasattr(os, "sysconf"):  # Windows: nobody says it without another package
        return float("inf")
    return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")


def _duration(seconds: float) -> str:
    for length, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(1, seconds):.0f} seconds"
