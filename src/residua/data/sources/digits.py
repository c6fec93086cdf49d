"""Handwritten digits that come with Residua: 1,797 pictures of 8x8, see digits.txt."""

from __future__ import annotations

import gzip
import os
import secrets
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from residua.data.dataset import UNSPLIT, Data
from residua.data.pictures import Arrays
from residua.errors import UserError

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
    if os.path.lexists(path):
        raise UserError(f"{str(path)!r} exists: name a new folder.")
    data = open_digits()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        for label in data.classes:
            (temporary / label).mkdir(parents=True)
        for place, name in enumerate(data.names):
            file = temporary / data.classes[data.labels[place]] / f"{name}.png"
            Image.fromarray(data.read(place, "gray")[..., 0]).save(file)
        temporary.rename(path)
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be written: {error.strerror or error}.") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
