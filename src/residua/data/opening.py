"""Files to Pillow's pictures: known formats only, bounded before anything is decoded, decoded whole."""

from __future__ import annotations

import contextlib
import math
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, cast

from PIL import ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import STRIPOFFSETS, TILEOFFSETS, TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

MAX_PIXELS = 100_000_000
MAX_BYTES = 512 << 20
MAX_SCANNED = 20 * MAX_PIXELS  # pixels times scans: a JPEG may have thousands of nearly empty scans
MAX_HEADER_WORK = 50_000_000_000  # bytes, each counted at every read: Pillow may join all pieces at each
MAX_STRIPS = 1_000_000  # bytes that say where a TIFF's strips or tiles are: Pillow makes an object of each


class BadContentError(Exception):
    """Why a file's content is no picture that can be read whole, as half a sentence."""


class _Tiff(TiffImageFile):
    """A TIFF whose strips are counted before Pillow makes anything of them."""

    def _setup(self) -> None:
        entries = self.tag_v2._tagdata
        if any(len(entries.get(tag, b"")) > MAX_STRIPS for tag in (STRIPOFFSETS, TILEOFFSETS)):
            raise BadContentError("its header has more pieces than any photo's")
        super()._setup()


# How files begin. Plain-text PNM is not here: Pillow may need hours for one.
_READERS: dict[bytes, type[ImageFile.ImageFile]] = {
    b"\xff\xd8\xff": JpegImageFile,  # of an MPO, which holds several, the first
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"RIFF": WebPImageFile,
    b"GIF87a": GifImageFile,
    b"GIF89a": GifImageFile,
    b"BM": BmpImageFile,
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _Tiff),
    **dict.fromkeys((b"P4", b"P5", b"P6"), PpmImageFile),
}


def content(file: Path) -> bytes:
    """Read a regular file of a bounded size."""
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise BadContentError(f"it is {kind}")
        if status.st_size > MAX_BYTES:
            raise BadContentError(f"it has {status.st_size:,} bytes, more than {MAX_BYTES:,}")
        return file.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        raise BadContentError((getattr(error, "strerror", None) or str(error)).lower()) from None


def opened(data: bytes) -> ImageFile.ImageFile:
    """Read a picture's header; nothing is decoded yet. To be called within `undisturbed`."""
    if not data:
        raise BadContentError("it is empty")
    reader = next((reader for start, reader in _READERS.items() if data.startswith(start)), None)
    if reader is None:
        raise BadContentError("it is no JPEG, PNG, WebP, GIF, BMP, TIFF or binary PNM")
    source = _Source(data)
    with blaming("its header is damaged, or of a kind that Pillow cannot read"):
        image = reader(source)
    source.left = math.inf
    _bounded(image, data)
    return image


class _Source(BytesIO):
    """A file's content. A header of countless pieces would take Pillow minutes and much memory."""

    taken = 0
    left: float = MAX_HEADER_WORK

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.taken += len(piece)
        self.left -= self.taken
        if self.left < 0:
            raise BadContentError("its header has more pieces than any photo's")
        return piece


def _bounded(image: ImageFile.ImageFile, data: bytes) -> None:
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise BadContentError(
            f"it has {image.width:,} x {image.height:,} pixels, more than {MAX_PIXELS:,} in all"
        )
    if "progressive" in image.info and data.count(b"\xff\xda") * pixels > MAX_SCANNED:
        raise BadContentError("it has more scans than any photo")


def load(image: ImageFile.ImageFile) -> None:
    """Decode a picture whole. To be called within `undisturbed`."""
    with blaming("it is damaged"):
        image.load()


@contextlib.contextmanager
def blaming(reason: str) -> Iterator[None]:
    """Give this reason for whatever a damaged file makes of Pillow, unless a better one is known."""
    try:
        yield
    except (BadContentError, MemoryError):
        raise
    except Exception as error:
        cut = "truncated" in str(error).lower()
        raise BadContentError("it is cut off" if cut else reason) from None


_SILENCE = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
_lock = threading.Lock()
_inside = 0
_truncated = False


def _alone() -> None:
    """Begin anew in a forked process: the threads that were inside are not in it."""
    global _inside
    if _inside:
        ImageFile.LOAD_TRUNCATED_IMAGES, _inside = _truncated, 0
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_alone)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Keep Pillow strict and silent, whatever switches and filters the process has set.

    Both are the whole process's, and several threads decode at once: the first that comes changes them, the
    last that goes puts them back. The filter goes into the list by hand: `filterwarnings` would make Python
    forget which warnings of other modules it has shown already.
    """
    global _inside, _truncated
    with _lock:
        _inside += 1
        if _inside == 1:
            _truncated, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        if not warnings.filters or warnings.filters[0] is not _SILENCE:
            cast("list[Any]", warnings.filters).insert(0, _SILENCE)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                ImageFile.LOAD_TRUNCATED_IMAGES = _truncated
                filters = cast("list[Any]", warnings.filters)
                filters[:] = [each for each in filters if each is not _SILENCE]
