"""Safetensors on disk: bounded before anything is read, written whole or not at all, with a checksum."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from residua.errors import UserError
from residua.files import regular, replacing

HEADER_LIMIT = 10_000_000
KEY, DIGEST = "residua", "sha256"
NO_DIGEST = "0" * 64
FLOATS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}
WHOLE = {"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8}
KINDS = FLOATS | WHOLE | {"BOOL": torch.bool, "C64": torch.complex64}


def open_safely(path: Path) -> safe_open:
    """Open a file whose header was checked: it lies in the file, and so does every tensor, once."""
    try:
        with open(path, "rb", opener=regular) as file:
            size = os.fstat(file.fileno()).st_size
            header = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if size < 10 or header > size - 8:
        hint = (
            "" if path.suffix == ".safetensors" else " `residua convert` makes one of other libraries' files."
        )
        raise UserError(f"{path} is no safetensors file, or cut off: it ends before its header does.{hint}")
    if header > HEADER_LIMIT:
        raise UserError(f"{path} is refused: its header of {header:,} bytes is larger than any model's.")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is not a valid safetensors file: {_plain(error)}.") from None


class Stated(NamedTuple):
    """What a header says of a tensor."""

    shape: tuple[int, ...]
    kind: str


def stated_of(tensors: Mapping[str, Tensor]) -> dict[str, Stated]:
    """Return what a header would say of tensors."""
    names = {kind: name for name, kind in KINDS.items()}
    return {
        name: Stated(tuple(tensor.shape), names.get(tensor.dtype, str(tensor.dtype)))
        for name, tensor in tensors.items()
    }


def stated_tensors(file: Any) -> dict[str, Stated]:
    """Return the shapes and types of all tensors of what `open_safely` opened, without reading any."""
    slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    return {name: Stated(tuple(each.get_shape()), each.get_dtype()) for name, each in slices.items()}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a safetensors file."""
    with open_safely(path) as file:
        try:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except SafetensorError as error:  # of a type that only its header's reader knows
            raise UserError(f"{path} cannot be read: {_plain(error)}.") from None


def write(path: Path, tensors: Mapping[str, Tensor], metadata: str) -> None:
    """Write tensors and metadata with a checksum; an old file stays until the new one is whole."""
    # One key alone: other writers of safetensors order several as they like.
    _write(path, tensors, {KEY: f'{{"{DIGEST}":"{NO_DIGEST}",{metadata.removeprefix("{")}'})


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write plain safetensors for other libraries, whole or not at all."""
    _write(path, tensors, {"format": "pt"})


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write and hash in one pass.

    The safetensors library would write a temporary file of its own making first, which a kill leaves behind.
    """
    widest_first = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    header = _header(widest_first, metadata)
    total = hashlib.sha256(header)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(header)
        for _, tensor in widest_first:
            content = _bytes(tensor.detach().cpu().contiguous())
            file.write(content)
            total.update(content)
        if KEY in metadata:
            file.seek(header.index(NO_DIGEST.encode()))
            file.write(total.hexdigest().encode())


def _header(tensors: list[tuple[str, Tensor]], metadata: dict[str, str]) -> bytes:
    """Return the length and the JSON that a safetensors file begins with; the data behind it is aligned."""
    names = {kind: name for name, kind in KINDS.items()}
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, tensor in tensors:
        begin, end = end, end + tensor.nbytes
        kind, shape = names[tensor.dtype], list(tensor.shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def is_whole(path: Path) -> bool:
    """Whether the file has the digest that it states."""
    with path.open("rb") as file:
        header, _ = _hashed_header(file)
    return digest(path) == stated_digest(header["__metadata__"])


def read_into(path: Path, targets: Mapping[str, Tensor], wanted: str | None = None) -> bool:
    """Read each tensor straight into its place, in one pass; return whether the file is whole.

    It has to have the digest that it states, and so the `wanted` one if a reader has seen its header before.
    """
    with path.open("rb") as file:
        header, total = _hashed_header(file)
        stated = stated_digest(header.pop("__metadata__"))
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            target, kind = targets[name], KINDS[entry["dtype"]]
            place = target if target.dtype == kind else torch.empty(target.shape, dtype=kind)
            view = _bytes(place)
            file.readinto(view)
            total.update(view)
            if place is not target:
                target.copy_(place)
    return total.hexdigest() == stated == (wanted or stated)


def stated_digest(metadata: Mapping[str, str]) -> str:
    """Return the digest that a file's metadata states; it is the first entry of ours."""
    found = re.match(rf'{{"{DIGEST}":"([0-9a-f]{{64}})"', metadata.get(KEY, ""))
    return found[1] if found else ""


def digest(path: Path) -> str:
    """SHA-256 of the file, with zeros where its own digest stands."""
    with path.open("rb") as file:
        _, total = _hashed_header(file)
        while chunk := file.read(1 << 20):
            total.update(chunk)
    return total.hexdigest()


def _hashed_header(file: BinaryIO) -> tuple[dict[str, Any], hashlib._Hash]:
    """Read the header of a file that `open_safely` has seen, and begin its digest."""
    length = file.read(8)
    text = file.read(int.from_bytes(length, "little"))
    header = json.loads(text)
    stated = stated_digest(header["__metadata__"])
    return header, hashlib.sha256(length + text.replace(stated.encode(), NO_DIGEST.encode(), 1))


def _plain(error: Exception) -> str:
    return str(error).removeprefix("Error while deserializing header: ").split("\n")[0].rstrip(".")
