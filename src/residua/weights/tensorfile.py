"""Safetensors on disk: bounded before anything is read, written whole or not at all, with a checksum."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from residua.errors import UserError

HEADER_LIMIT = 10_000_000
DIGEST = "sha256"
NO_DIGEST = "0" * 64


def open_safely(path: Path) -> safe_open:
    """Open a file whose header was checked: it lies in the file, and so does every tensor, once."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if size < 10 or header > size - 8:
        raise UserError(f"{path} is damaged: it ends before its header does.")
    if header > HEADER_LIMIT:
        raise UserError(f"{path} is refused: its header of {header:,} bytes is larger than any model's.")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is not a valid safetensors file: {_plain(error)}.") from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a safetensors file."""
    with open_safely(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and metadata with a checksum; an old file stays until the new one is whole."""
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        save_file(own, temporary, {**metadata, DIGEST: NO_DIGEST})
        with temporary.open("r+b") as file:
            header = file.read(int.from_bytes(file.read(8), "little"))
            file.seek(8 + header.index(NO_DIGEST.encode()))
            file.write(digest(temporary).encode())


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write plain safetensors for other libraries, whole or not at all."""
    with replacing(path) as temporary:
        save_file(dict(tensors), temporary, {"format": "pt"})


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file beside the path, and put it in the path's place once it is on the disk."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            temporary.touch()  # with the user's own permissions
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or _plain(error)
            raise UserError(f"{path} cannot be written: {reason}.") from None
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest(path: Path, stated: str = NO_DIGEST) -> str:
    """SHA-256 of the file, with zeros where its own digest stands."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        length = file.read(8)
        header = file.read(min(int.from_bytes(length, "little"), HEADER_LIMIT))
        total.update(length + header.replace(stated.encode(), NO_DIGEST.encode(), 1))
        while chunk := file.read(1 << 20):
            total.update(chunk)
    return total.hexdigest()


def _plain(error: Exception) -> str:
    return str(error).removeprefix("Error while deserializing header: ").split("\n")[0].rstrip(".")
