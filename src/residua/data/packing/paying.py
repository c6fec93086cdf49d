"""Whether packing pays: it must fit, and the epochs must win more time than packing takes."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from residua.data.ahead import processors
from residua.data.dataset import Data, Pixels, Places
from residua.data.packing.writing import amount, limited, sample, shrunk

PROBE = 16 << 20  # bytes written to see how fast the disk is
SHARE = 2  # at most half of the free disk, and of the memory that keeps a file read again and again


CONTAINER = tuple(Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory/memory.limit_in_bytes"))


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
    try:
        size, saved = _measured(data, sample(len(data)), side, epochs, folder, channels)
        free, memory = shutil.disk_usage(folder).free, _memory()
    except OSError as error:
        sentence = f"Not packed: {str(folder)!r} cannot be written: {error.strerror or error}."
        return Verdict(False, 0, 0.0, sentence)
    training = f"{epochs} {'epoch' if epochs == 1 else 'epochs'}"
    if size > free // SHARE:
        reason = f"{amount(size)} are more than half of the {amount(free)} that are free in {str(folder)!r}"
    elif size > memory // SHARE:
        reason = f"{amount(size)} are more than half of the {amount(memory)} of memory"
    elif saved <= 0:
        reason = f"{training} would win no time"
    else:
        sentence = f"Packed: {amount(size)}, which saves about {_duration(saved)} in {training}."
        return Verdict(True, size, saved, sentence)
    return Verdict(False, size, saved, f"Not packed: {reason}.")


def _measured(
    data: Data, places: Places, side: int | None, epochs: int, folder: Path, channels: str
) -> tuple[int, float]:
    """Return the bytes and the seconds saved, as a few pictures tell of all."""
    start = time.perf_counter()  # the first reading is the slow one, from the disk: packing does it, once
    pixels = [shrunk(data, place, side, channels) for place in places.tolist()]
    shrinking = time.perf_counter() - start
    start = time.perf_counter()
    for place in places.tolist():
        data.read(place, channels, limited(side))
    reading = time.perf_counter() - start
    times = len(data) / len(places)
    size = round(times * sum(each.nbytes for each in pixels))
    writing = size * _seconds_a_byte(np.concatenate([each.ravel() for each in pixels]), folder)
    return size, times * (epochs * reading - shrinking) / processors() - writing


def _seconds_a_byte(pixels: Pixels, folder: Path) -> float:
    """Write so much of these pixels, over and over, that the time to sync hardly counts."""
    with tempfile.TemporaryFile(dir=folder) as file:
        start = time.perf_counter()
        np.resize(pixels, PROBE).tofile(file)
        os.fsync(file.fileno())
        return (time.perf_counter() - start) / PROBE


def _memory() -> float:
    """Return the bytes of memory of this machine, or of the container that this process is in."""
    limits = [float("inf")]  # Windows: nobody says it without another package
    if hasattr(os, "sysconf"):
        limits.append(float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE"))
    for file in CONTAINER:
        with contextlib.suppress(OSError, ValueError):  # where there is no limit, it says "max"
            limits.append(float(int(file.read_text())))
    return min(limits)


def _duration(seconds: float) -> str:
    for length, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds" if seconds >= 1.5 else "a second"
