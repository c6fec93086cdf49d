"""Handwritten digits that come with Residua: 1,797 pictures of 8x8, see digits.txt."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from PIL import Image

from residua.data.dataset import UNSPLIT, Data
from residua.data.pictures import Arrays
from residua.files import new_folder

COUNT, SIDE, BRIGHTEST = 1797, 8, 16


def open_digits() -> Data:
    """Return the handwritten digits, gray, in no parts."""
    packed = Path(__file__).with_name("digits.bin.gz").read_bytes()
    records = np.frombuffer(gzip.decompress(packed), np.uint8).reshape(COUNT, 1 + SIDE * SIDE)
    values = records[:, 1:].reshape(COUNT, SIDE, SIDE, 1).astype(np.uint16)
    return Data(
        where="digits",
        kind="digits",
        classes=tuple("0123456789"),
        names=[f"{place:04}" for place in range(COUNT)],
        labels=records[:, 0].astype(np.int32),
        parts=np.full(COUNT, UNSPLIT, np.int8),
        pictures=Arrays((values * 255 // BRIGHTEST).astype(np.uint8)),
    )


def write_folder(path: Path) -> None:
    """Write the digits as class folders of PNG files; the folder appears when all of them are there."""
    data = open_digits()
    with new_folder(path) as folder:
        for label in data.classes:
            (folder / label).mkdir()
        for place, name in enumerate(data.names):
            file = folder / data.classes[data.labels[place]] / f"{name}.png"
            Image.fromarray(data.read(place, "gray")[..., 0]).save(file)
