"""PyTorch's own files: read by its restricted loader only, after a look at what they would take."""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from residua.errors import UserError
from residua.weights.instructions import look_through

ZIP, PICKLE = b"PK\x03\x04", b"\x80\x02"
OLD_PARTS = 5  # pickles before the numbers in files of the old form


def is_one(path: Path) -> bool:
    """Whether a file begins as PyTorch's do."""
    with path.open("rb") as file:
        return file.read(4).startswith((ZIP, PICKLE))


def read(path: Path) -> dict[str, Any]:
    """Read a dictionary; a payload, a bomb or something else in disguise is refused in one sentence."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(4)
    if start == ZIP:
        _refuse_bombs(path, size)
    elif not start.startswith(PICKLE):
        raise UserError(f"{path} is not a PyTorch file: it begins as none of them does.")
    try:
        _look_through(path, start)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of kinds of tensors that are refused below
            data = torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except Exception as error:  # whatever a hostile file provokes
        raise UserError(f"{path} is refused: {_reason(error)}.") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} holds a {type(data).__name__}, not a dictionary of weights.")
    _refuse_views(data, path, size)
    return data


def _reason(error: Exception) -> str:
    text = str(error)
    if "Unsupported global" in text or "weights_only" in text.lower() or "Unsupported class" in text:
        return "it holds code, and Residua never runs code from a file"
    if isinstance(error, (RecursionError, MemoryError)):
        return "it is nested or sized as no weights are"
    return f"PyTorch cannot read it ({type(error).__name__})"


def _look_through(path: Path, start: bytes) -> None:
    if start == ZIP:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.filename.lower().endswith(".pkl"):
                    look_through(io.BytesIO(archive.read(entry)), path)
        return
    with path.open("rb") as file:
        for _ in range(OLD_PARTS):
            look_through(file, path)


def _refuse_bombs(path: Path, size: int) -> None:
    """torch.save never compresses: whatever would grow on reading is no file of PyTorch's."""
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            entries = archive.infolist()
            if archive.start_dir != _directory(file, size):
                raise ValueError  # PyTorch would read another directory than this one
    except (zipfile.BadZipFile, OSError, ValueError):
        raise UserError(f"{path} is refused: it is a damaged archive.") from None
    total = sum(entry.file_size for entry in entries)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or total > size:
        raise UserError(f"{path} is refused: it would unpack to {total:,} bytes, more than PyTorch writes.")


def _directory(file: IO[bytes], size: int) -> int:
    """Return where an archive says that its directory begins; PyTorch writes no comment behind it."""
    file.seek(max(0, size - 98))
    wide, locator, end = (file.read(count) for count in (56, 20, 22))
    if not locator.startswith(b"PK\x06\x07"):
        return int.from_bytes(end[16:20], "little")
    if not wide.startswith(b"PK\x06\x06") or int.from_bytes(locator[8:16], "little") != size - 98:
        raise ValueError
    return int.from_bytes(wide[48:56], "little")


def _refuse_views(data: Any, path: Path, size: int) -> None:
    """A few bytes can claim to be a huge tensor by strides of 0."""
    claimed, open_ends, seen = 0, [data], set[int]()
    while open_ends:
        value = open_ends.pop()
        if getattr(value, "__dict__", {}).keys() - {"_metadata"}:  # PyTorch's own, of a state dict
            raise UserError(f"{path} is refused: something in it has attributes, as no weights have.")
        if isinstance(value, Tensor):
            claimed += value.numel() * value.element_size()
        elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            open_ends += value.values() if isinstance(value, dict) else value
        if claimed > 4 * size:
            raise UserError(f"{path} is refused: its tensors claim more numbers than the file holds.")
