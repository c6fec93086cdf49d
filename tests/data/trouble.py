"""Data with one of everything that can be wrong with pictures, and decoders that misbehave."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from residua.data.dataset import UNSPLIT, Data, Needed, Pixels
from residua.data.facts import BadImageError, Facts

GOOD = 4  # pictures of each class of which nothing is to say
BAD = ("bomb.png", "empty.jpg", "half.jpg", "no_pixels.png", "text.jpg")
TRAITS = {
    "grayscale": "gray.png",
    "palette": "palette.png",
    "transparent": "glass.png",
    "cmyk": "printed.jpg",
    "16-bit": "deep.png",
    "animated": "moving.gif",
    "rotated": "turned.jpg",
    "wrong extension": "really_png.jpg",
}


def picture(number: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    noise = np.random.default_rng(number).integers(0, 256, (size[1] // 5, size[0] // 5, 3), np.uint8)
    return Image.fromarray(noise).resize(size)


def write_trouble(root: Path) -> Path:
    """Write train and val with classes cat and dog; all the trouble is in train/cat, but for copies."""
    for number, folder in enumerate(("train/cat", "train/dog", "val/cat", "val/dog")):
        (root / folder).mkdir(parents=True)
        for count in range(GOOD):
            picture(10 * number + count).save(root / folder / f"{count}.png")
    cat = root / "train" / "cat"
    _write_bad(cat)
    _write_traits(cat)
    shutil.copy(cat / "0.png", cat / "again.png")
    shutil.copy(cat / "1.png", root / "train" / "dog" / "a_cat.png")
    shutil.copy(cat / "2.png", root / "val" / "cat" / "seen.png")
    return root


def _write_bad(folder: Path) -> None:
    (folder / "empty.jpg").touch()
    picture(100, (200, 150)).save(folder / "half.jpg")
    content = (folder / "half.jpg").read_bytes()
    (folder / "half.jpg").write_bytes(content[: len(content) // 2])
    (folder / "text.jpg").write_text("a text, and no picture")
    (folder / "no_pixels.png").write_bytes(_png_of(0, 5))
    (folder / "bomb.png").write_bytes(_png_of(13_000, 13_000))


def _png_of(width: int, height: int) -> bytes:
    """A header that says this size, and next to nothing behind it."""
    header = np.array([width, height], ">u4").tobytes() + bytes([8, 2, 0, 0, 0])
    pieces = bytearray(b"\x89PNG\r\n\x1a\n")
    for kind, content in ((b"IHDR", header), (b"IDAT", b"x\x9c\x03\0\0\0\0\x01"), (b"IEND", b"")):
        check = zlib.crc32(kind + content)
        pieces += len(content).to_bytes(4) + kind + content + check.to_bytes(4)
    return bytes(pieces)


def _write_traits(folder: Path) -> None:
    picture(1000).convert("L").save(folder / "gray.png")
    picture(1001).quantize(16).save(folder / "palette.png")
    glass = picture(1002).convert("RGBA")
    glass.putalpha(picture(1003).convert("L"))
    glass.save(folder / "glass.png")
    picture(1004).convert("CMYK").save(folder / "printed.jpg")
    deep = np.linspace(0, 65535, 1200, dtype=np.uint16).reshape(30, 40)
    Image.fromarray(deep).save(folder / "deep.png")
    picture(1005).save(folder / "moving.gif", save_all=True, append_images=[picture(1006)])
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(1007).save(folder / "turned.jpg", exif=exif)
    picture(1008).save(folder / "really_png.jpg", "PNG")


@dataclass(frozen=True)
class Unruly:
    """Pictures of which some misbehave, as decoders might: each place does what its word says."""

    words: tuple[str, ...]
    uniform: None = None

    def examine(self, place: int) -> Facts:
        word = self.words[place]
        if word == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif word == "exit":
            os._exit(3)
        elif word == "print":
            os.write(1, b"rubbish")
        elif word == "raise":
            raise RuntimeError("what now?")
        elif word == "sleep":
            time.sleep(60)
        elif word == "torch?" and "torch" in sys.modules:
            raise BadImageError(str(place), "torch is there")
        return Facts(8, 6, place.to_bytes(16))

    def read(self, place: int, channels: str = "rgb", needed: Needed | None = None) -> Pixels:
        raise NotImplementedError(place, channels, needed)


def unruly(*words: str, classes: int = 2) -> Data:
    names = [f"{place}" for place in range(len(words))]
    labels = (np.arange(len(words)) % classes).astype(np.int32)
    parts = np.full(len(words), UNSPLIT, np.int8)
    return Data("unruly", "folder", tuple("abcdef"[:classes]), names, labels, parts, Unruly(words))
