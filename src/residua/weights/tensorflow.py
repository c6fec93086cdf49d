"""TensorFlow's variables: as `.npz` without TensorFlow, from its own checkpoints with it."""

from __future__ import annotations

import glob
import math
import zipfile
from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from residua.errors import UserError
from residua.files import replacing

LIMIT = 4 << 30  # bytes that an archive may unpack to
RATIO = 100  # and how many times its own size: trained numbers hardly shrink
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # all that NumPy writes; others take memory to unpack
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
NUMBERS = "biuf"  # NumPy's kinds: boolean, whole, floating

AVERAGE = "/ExponentialMovingAverage"
BOOKKEEPING = ("global_step", "beta1_power", "beta2_power", "mean_rgb")


def read_npz(path: Path) -> dict[str, Tensor]:
    """Read arrays by name; what an array claims to be is held against its bytes before memory is taken."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _checked(archive, path.stat().st_size)
            return {name: _array(archive, entry) for name, entry in entries.items()}
    except UserError as error:
        raise UserError(f"{path} is refused: {error}") from None
    except zipfile.BadZipFile:
        raise UserError(f"{path} is no archive of NumPy arrays, or a damaged one.") from None
    except Exception as error:  # whatever a hostile file provokes
        raise UserError(f"{path} is refused: NumPy cannot read it ({type(error).__name__}).") from None


def _checked(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """All entries by name, once it is known that they are arrays and to what they unpack."""
    total = sum(entry.file_size for entry in archive.infolist())
    if total > min(LIMIT, RATIO * size):
        raise UserError(f"it would unpack from {size:,} to {total:,} bytes, more than any weights do.")
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        name = entry.filename.removesuffix(".npy")
        if name == entry.filename or name in entries or entry.compress_type not in PACKED:
            raise UserError(f"its entry {entry.filename!r} is none that NumPy writes.")
        entries[name] = entry
    return entries


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Tensor:
    with archive.open(entry) as member:
        shape, dtype = _header(member)
        held = entry.file_size - member.tell()
    if dtype.kind not in NUMBERS:
        raise UserError(f"its entry {entry.filename!r} is of type {dtype}, which no weights are.")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != held:
        raise UserError(f"its entry {entry.filename!r} claims the shape {shape} and holds {held:,} bytes.")
    with archive.open(entry) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
    return torch.from_numpy(array.astype(dtype.newbyteorder("="), copy=False))


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    shape, _, dtype = HEADERS[np.lib.format.read_magic(member)](member)
    return shape, dtype


def write_npz(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write arrays by name, whole or not at all; equal tensors make equal bytes."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, tensor in tensors.items():
            # `numpy.savez` takes names as keywords, and some are its own.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, _numpy(tensor), allow_pickle=False)


def _numpy(tensor: Tensor) -> np.ndarray[Any, Any]:
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()  # NumPy has no bfloat16


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint by its prefix, its index, or as the one file that it was before 2016."""
    prefix = path.with_suffix("") if path.suffix == ".index" else path
    held = sum(file.stat().st_size for file in _data_files(prefix))
    try:
        tf: Any = import_module("tensorflow")
    except ImportError:
        raise UserError(
            f'{path} is a checkpoint that TensorFlow alone reads: `pip install "residua[tensorflow]"` first.'
        ) from None
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        claimed = sum(math.prod(shape) * types[name].size for name, shape in shapes.items())
        if claimed <= 4 * held:  # the old format writes small whole numbers in fewer bytes
            return {name: _value(reader.get_tensor(name)) for name in sorted(shapes)}
    except Exception as error:  # whatever a hostile file provokes
        raise UserError(f"{path} is refused: TensorFlow cannot read it ({type(error).__name__}).") from None
    raise UserError(f"{path} is refused: it claims {claimed:,} bytes of variables and holds {held:,}.")


def _data_files(prefix: Path) -> list[Path]:
    """The files that hold a checkpoint's numbers."""
    index = prefix.with_name(f"{prefix.name}.index")
    if not index.is_file():
        return [prefix]
    if found := list(prefix.parent.glob(f"{glob.escape(prefix.name)}.data-?????-of-?????")):
        return found
    raise UserError(f"{index} is half a checkpoint: {prefix.name}.data-00000-of-00001 is not beside it.")


def _value(value: Any) -> Any:
    """A tensor, or what is no number as it is."""
    array = np.array(value)
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    return torch.from_numpy(array) if array.dtype.kind in NUMBERS else value


def without_training(tensors: Mapping[str, Tensor], ema: bool) -> tuple[dict[str, Tensor], list[str]]:
    """Leave out what a training keeps beside the network, and say so; its slots are named below variables.

    An optimizer's slot of `conv1/weights` is `conv1/weights/Momentum`, and its moving average
    `conv1/weights/ExponentialMovingAverage`, which takes the variable's place if it is asked for.
    """
    notes = []
    averaged = {name.removesuffix(AVERAGE): tensors[name] for name in tensors if name.endswith(AVERAGE)}
    if ema and averaged:
        notes.append(f"took the variables' moving averages ({len(averaged)})")
        tensors = {name: tensors[name] for name in tensors if not name.endswith(AVERAGE)} | averaged
    passed = {
        name: last
        for name, (above, _, last) in ((name, name.rpartition("/")) for name in tensors)
        if above in tensors or last in BOOKKEEPING
    }
    if passed:
        counts = ", ".join(f"{last} ({count})" for last, count in sorted(Counter(passed.values()).items()))
        notes.append(f"passed over what a training keeps: {counts}")
    return {name: tensor for name, tensor in tensors.items() if name not in passed}, notes
