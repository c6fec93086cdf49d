"""Packing: every picture decoded once and written, small and ready, to one file that is memory-mapped."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from residua.data.ahead import ahead, processors
from residua.data.dataset import Data, Needed, Pixels, Places
from residua.data.decoding import as_array
from residua.data.packing.packed import CHANNELS, FACTS_LIMIT, HEADER, Layout, open_pack
from residua.errors import UserError
from residua.files import claimed, replacing
from residua.nets.values import at_least

Progress = Callable[[int, int], None]  # pictures done, pictures in all
SAMPLE = 24
UNITS = {"KB": 1e3, "MB": 1e6, "GB": 1e9}


def pack(
    data: Data,
    out: str | os.PathLike[str],
    *,
    side: int | None = None,
    channels: str = "rgb",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Data:
    """Write all pictures to one new file, and open it; the same data gives the same bytes.

    The shorter side becomes `side`, if it is longer; None keeps all as they are. A picture that cannot be
    read stops it: leave bad ones out before.
    """
    at_least("side", side, 1)
    if channels not in CHANNELS:
        raise UserError(f"channels={channels!r} is not valid: valid are {', '.join(CHANNELS)}.")
    if not len(data):
        raise UserError(f"{data.where!r} has no pictures to pack.")
    path = Path(out)
    with claimed(path), replacing(path) as temporary:
        check_absent(path)
        read = partial(shrunk, data, side=side, channels=channels)
        _check_space(path, data, read)
        with temporary.open("wb") as file:
            _write(file, data, read, channels, processors() if workers is None else workers, progress)
        check_absent(path)  # somebody else's, written meanwhile
    return open_pack(path)


def check_absent(path: Path) -> None:
    """Refuse to write over anything."""
    if os.path.lexists(path):
        raise UserError(f"{str(path)!r} exists: remove it first, or give another name.")


def limited(side: int | None) -> Needed:
    """Return what makes a picture's shorter side `side`, if it is longer; None leaves all as they are."""

    def size(width: int, height: int) -> tuple[int, int]:
        short = min(width, height)
        if side is None or short <= side:
            return width, height
        return side * width // short, side * height // short

    return size


def shrunk(data: Data, place: int, side: int | None, channels: str) -> Pixels:
    """Read a picture as it is packed."""
    pixels = data.read(place, channels, limited(side))
    size = pixels.shape[1], pixels.shape[0]
    wanted = limited(side)(*size)
    if wanted == size:
        return np.ascontiguousarray(pixels)
    image = Image.fromarray(pixels[..., 0] if channels == "gray" else pixels)
    return as_array(image.resize(wanted, Image.Resampling.BILINEAR))


def sample(count: int) -> Places:
    """Return a few places, spread over so many, that say about how large all pictures are."""
    return np.linspace(0, count - 1, min(SAMPLE, count)).astype(np.int64)


def _check_space(out: Path, data: Data, read: Callable[[int], Pixels]) -> None:
    places = sample(len(data)).tolist()
    needed = len(data) * sum(read(place).nbytes for place in places) / len(places)
    free = shutil.disk_usage(out.parent).free
    if needed > free:
        raise UserError(
            f"{str(out)!r} would take about {amount(needed)}, its disk has {amount(free)} free: "
            "free some, choose a smaller side, or another disk."
        )


def amount(size: float) -> str:
    """Say so many bytes for people."""
    unit = next((unit for unit in ("KB", "MB") if size < UNITS[unit] * 1000), "GB")
    return f"{size / UNITS[unit]:,.1f} {unit}"


def _write(
    file: BinaryIO,
    data: Data,
    read: Callable[[int], Pixels],
    channels: str,
    workers: int,
    progress: Progress | None,
) -> None:
    """Write the pixels as they come, then what is known of them, and the header at last in its room."""
    sizes = np.empty((len(data), 2), "<i4")
    checks = np.empty(len(data), "<u4")

    def ready(place: int) -> Pixels:
        pixels = read(place)
        sizes[place], checks[place] = pixels.shape[:2], zlib.crc32(pixels.data)
        return pixels

    file.write(bytes(HEADER))
    for done, pixels in enumerate(ahead(ready, range(len(data)), workers, 2 * workers + 1), 1):
        file.write(pixels.data)
        if progress:
            progress(done, len(data))
    offsets = np.concatenate([[0], np.cumsum(sizes.prod(1, dtype="<i8") * CHANNELS[channels], dtype="<i8")])
    facts = _facts(data)
    tables = (offsets.astype("<i8"), sizes, data.labels.astype("<i4"), checks, data.parts.astype("i1"), facts)
    rest = b"".join(bytes(table) for table in tables)
    layout = Layout(len(data), CHANNELS[channels], int(offsets[-1]), len(facts), 0)
    rest = bytes(layout.padding) + rest
    file.write(rest)
    file.seek(0)
    file.write(replace(layout, checksum=zlib.crc32(rest)).header())


def _facts(data: Data) -> bytes:
    groups = None if data.groups is None else list(data.groups)
    facts = {"classes": data.classes, "names": list(data.names), "groups": groups, "source": data.where}
    text = json.dumps(facts, separators=(",", ":")).encode()  # ASCII: a name of any bytes survives
    if len(text) > FACTS_LIMIT:
        raise UserError(f"{data.where!r} has too many names to pack: {amount(len(text))} of them.")
    return text
