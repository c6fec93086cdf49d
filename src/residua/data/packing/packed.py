"""Packed data: one safetensors file of decoded pictures, mapped into memory, checked before it is trusted."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.data.dataset import PARTS, UNSPLIT, Data, Needed, Pixels
from residua.data.decoding import as_array, digest, with_channels
from residua.data.facts import BadImageError, Facts
from residua.errors import UserError
from residua.files import regular
from residua.text import parse_json

VERSION = 1
HEADER = 4096  # bytes before the pixels: fixed, so that pixels are written before their sum is known
START = b'{"__metadata__":{"residua_pack":"'
ALIGNMENT = 64  # of what follows the pixels
FACTS_LIMIT = 64_000_000  # bytes of JSON: names of more than a million pictures
CHANNELS = {"gray": 1, "rgb": 3, "rgba": 4}


@dataclass(frozen=True)
class Layout:
    """Everything that the header of a packed file depends on."""

    count: int
    channels: int
    pixels: int  # bytes
    facts: int
    checksum: int  # CRC-32 of all that follows the pixels

    @property
    def padding(self) -> int:
        """How many zeros fill the pixels up to the alignment."""
        return -self.pixels % ALIGNMENT

    def tensors(self) -> dict[str, tuple[str, tuple[int, ...], int]]:
        """Return type, shape and bytes of the tensors in the order of the file."""
        n, pixels = self.count, self.pixels + self.padding
        return {
            "pixels": ("U8", (pixels,), pixels),
            "offsets": ("I64", (n + 1,), 8 * n + 8),
            "sizes": ("I32", (n, 2), 8 * n),
            "labels": ("I32", (n,), 4 * n),
            "checks": ("U32", (n,), 4 * n),
            "parts": ("I8", (n,), n),
            "facts": ("U8", (self.facts,), self.facts),
        }

    def header(self) -> bytes:
        """Return the file's first bytes; a file that begins otherwise is not ours."""
        stated = " ".join(map(str, (VERSION, *astuple(self))))
        entries: dict[str, Any] = {"__metadata__": {"residua_pack": stated}}
        start = 0
        for name, (kind, shape, size) in self.tensors().items():
            entries[name] = {"dtype": kind, "shape": shape, "data_offsets": (start, start + size)}
            start += size
        text = json.dumps(entries, separators=(",", ":")).encode()
        return (HEADER - 8).to_bytes(8, "little") + text.ljust(HEADER - 8)

    def size(self) -> int:
        """How many bytes the whole file has."""
        return HEADER + sum(size for _, _, size in self.tensors().values())


def is_pack(path: Path) -> bool:
    """Whether this is a file that `pack` wrote, whole or damaged."""
    try:
        with open(path, "rb", opener=regular) as file:
            return file.read(8 + len(START))[8:] == START
    except (OSError, ValueError):
        return False


def open_pack(path: Path) -> Data:
    """Open packed data; everything but the pixels is checked, and those are when they are examined."""
    if not is_pack(path):
        raise UserError(f"{str(path)!r} is no packed data: make it with `residua pack`.")
    try:
        layout, tables = _tables(path)
        facts = _facts(path, layout, tables.pop("facts"))
        _check(path, layout, tables, len(facts["classes"]))
        pictures = Packed(path, layout, tables, facts["names"])
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read: {error.strerror or error}.") from None
    return Data(
        where=str(path),
        kind="packed",
        classes=tuple(facts["classes"]),
        names=facts["names"],
        labels=tables["labels"],
        parts=tables["parts"],
        pictures=pictures,
        groups=facts["groups"],
    )


class Packed:
    """Pictures in a packed file, shared by all processes that map it; they may be read in any order."""

    def __init__(
        self, path: Path, layout: Layout, tables: dict[str, NDArray[Any]], names: Sequence[str]
    ) -> None:
        self._path, self._layout, self._names = path, layout, names
        self._offsets, self._sizes, self._checks = tables["offsets"], tables["sizes"], tables["checks"]
        self._stored = next(name for name, count in CHANNELS.items() if count == layout.channels)
        # Slicing a memmap is slow, slicing a plain array over the same bytes is not.
        mapped = np.memmap(path, np.uint8, "r", HEADER, layout.pixels)
        self._pixels: NDArray[np.uint8] = mapped.view(np.ndarray)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process by name: it maps the file again."""
        return _reopened, (self._path, self._layout)

    @cached_property
    def uniform(self) -> NDArray[np.uint8] | None:
        """All pictures as one array, where they have one size."""
        if (self._sizes != self._sizes[0]).any():
            return None
        return self._pixels.reshape(-1, *self._sizes[0], self._layout.channels)

    # `needed` is for readers that decode; these pixels are ready.
    def read(self, place: int, channels: str = "rgb", needed: Needed | None = None) -> Pixels:  # noqa: ARG002 - as all have it
        """Return a picture without copying it, if it has these channels; whoever writes must copy."""
        pixels = self._raw(place)
        return pixels if channels == self._stored else as_array(with_channels(_image(pixels), channels))

    def examine(self, place: int) -> Facts:
        """Check a picture's bytes and say what it is."""
        pixels = self._raw(place)
        if zlib.crc32(pixels.data) != self._checks[place]:
            raise BadImageError(self._names[place], "its pixels are not those that were packed")
        traits = {"gray": ("grayscale",), "rgba": ("transparent",)}.get(self._stored, ())
        return Facts(pixels.shape[1], pixels.shape[0], digest(_image(pixels)), traits)

    def _raw(self, place: int) -> Pixels:
        height, width = self._sizes[place]
        start, end = self._offsets[place : place + 2]
        return self._pixels[start:end].reshape(height, width, self._layout.channels)


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _reopened(path: Path, layout: Layout) -> Packed:
    pictures = open_pack(path).pictures
    if not isinstance(pictures, Packed) or pictures._layout != layout:
        raise UserError(f"{str(path)!r} was packed anew while it was in use: start again.")
    return pictures


def _tables(path: Path) -> tuple[Layout, dict[str, NDArray[Any]]]:
    """Read all but the pixels of a file whose header says what its size and its bytes confirm."""
    with path.open("rb") as file:
        start = file.read(HEADER)
        found = re.match(
            rb"(\d{1,9}) (\d{1,12}) ([134]) (\d{1,18}) (\d{1,18}) (\d{1,10})\"", start[8 + len(START) :]
        )
        if found is None:
            _damaged(path)
        version, *numbers = map(int, found.groups())
        if version != VERSION:
            raise UserError(
                f"{str(path)!r} has version {version}, this Residua reads {VERSION}: upgrade Residua."
            )
        layout = Layout(*numbers)
        whole = layout.header() == start and layout.size() == path.stat().st_size
        if not whole or not 4 <= 4 * layout.count <= layout.facts <= FACTS_LIMIT:
            _damaged(path)
        file.seek(HEADER + layout.pixels)
        rest = file.read()
    if zlib.crc32(rest) != layout.checksum:
        _damaged(path)
    tables, at = {}, layout.padding
    for name, (kind, shape, size) in list(layout.tensors().items())[1:]:
        dtype = np.dtype(f"<{kind[0].lower()}{int(kind[1:]) // 8}")
        tables[name] = np.frombuffer(rest, dtype, size // dtype.itemsize, at).reshape(shape)
        at += size
    return layout, tables


def _facts(path: Path, layout: Layout, text: NDArray[np.uint8]) -> dict[str, Any]:
    try:
        facts = parse_json(text.tobytes())
        names, classes, groups = facts["names"], facts["classes"], facts["groups"]
    except (ValueError, KeyError, TypeError):
        _damaged(path)
    lists = [names, classes, names if groups is None else groups]
    if not all(isinstance(each, list) and all(isinstance(one, str) for one in each) for each in lists):
        _damaged(path)
    if not len(set(names)) == len(names) == len(lists[2]) == layout.count or len(set(classes)) < len(classes):
        _damaged(path)
    return {"names": names, "classes": classes, "groups": groups}


def _check(path: Path, layout: Layout, tables: dict[str, NDArray[Any]], classes: int) -> None:
    """Fail unless every picture lies in the file, one behind the other, and its label means something."""
    offsets, sizes = tables["offsets"], tables["sizes"].astype(np.int64)
    area = sizes[:, 0] * sizes[:, 1]  # of two 31-bit numbers: no overflow
    inside = offsets.min() == offsets[0] == 0 and offsets.max() == offsets[-1] == layout.pixels
    fits = sizes.min() >= 1 and area.max() <= layout.pixels
    if not (inside and fits and (np.diff(offsets) == area * layout.channels).all()):
        _damaged(path)
    for numbers, least, end in ((tables["labels"], 0, classes), (tables["parts"], UNSPLIT, len(PARTS))):
        if numbers.min() < least or numbers.max() >= end:
            _damaged(path)


def _damaged(path: Path) -> NoReturn:
    raise UserError(f"{str(path)!r} is packed data that is damaged or cut off: pack it again.")
