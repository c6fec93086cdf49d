"""Read whatever file holds weights, into plain named tensors; nothing in it is ever executed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from residua.errors import UserError
from residua.files import regular
from residua.text import parse_json
from residua.weights import hdf5, pickled
from residua.weights.tensorfile import read_tensors
from residua.weights.tensorflow import read_checkpoint, read_npz, without_training

LONGEST = 10_000_000  # bytes of a configuration
WEIGHTS = "model.safetensors"  # in a Hugging Face folder


@dataclass(frozen=True)
class Source:
    """Named tensors of a file or folder, and what else it says."""

    path: Path
    tensors: dict[str, Tensor]
    config: dict[str, Any] = field(default_factory=dict)  # Hugging Face's config.json
    preprocessor: dict[str, Any] = field(default_factory=dict)  # and preprocessor_config.json
    notes: tuple[str, ...] = ()  # what was unwrapped or passed over


def read_source(path: Path, ema: bool = False) -> Source:
    """Read named tensors from a file of any known type, or a Hugging Face folder."""
    index = path.with_name(f"{path.name}.index")
    if not path.exists() and index.is_file():
        path = index  # TensorFlow calls a checkpoint by the prefix that its files share
    if not path.exists():
        raise UserError(f"{path} does not exist.")
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise UserError(f"{path} is a device or a pipe, not a file.")
    reader = READERS.get(_kind(path))
    if reader is None:
        known = ", ".join(sorted(READERS))
        raise UserError(f"{path} is not a weights file that Residua knows by its ending: known are {known}.")
    tensors, notes = unwrapped(reader(path), path, ema)
    return Source(path, _plain_tensors(tensors, path), notes=notes)


def _kind(path: Path) -> str:
    """The file's ending; TensorFlow's checkpoints have an index beside their data."""
    name = path.name.lower()
    return next((ending for ending in sorted(READERS, key=len, reverse=True) if name.endswith(ending)), "")


def _folder(path: Path) -> Source:
    weights = path / WEIGHTS
    if not weights.is_file() or not (path / "config.json").is_file():
        raise UserError(f"{path} is a folder without config.json and {WEIGHTS}.")
    preprocessor = path / "preprocessor_config.json"
    return Source(
        path,
        _plain_tensors(read_tensors(weights), path),
        config=read_json(path / "config.json"),
        preprocessor=read_json(preprocessor) if preprocessor.is_file() else {},
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a bounded size."""
    try:
        with open(path, "rb", opener=regular) as file:
            text = file.read(LONGEST + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if len(text) > LONGEST:
        raise UserError(f"{path} is too large for a configuration.")
    try:
        data = parse_json(text)
    except ValueError:
        raise UserError(f"{path} is not JSON.") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} is not a JSON object.")
    return data


def _checkpoint(path: Path) -> dict[str, Any]:
    return pickled.read(path) if pickled.is_one(path) else read_checkpoint(path)


READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".safetensors": read_tensors,
    ".pth": pickled.read,
    ".pt": pickled.read,
    ".th": pickled.read,
    ".bin": pickled.read,
    ".tar": pickled.read,  # `checkpoint.pth.tar` is a habit, not an archive
    ".h5": hdf5.read,
    ".hdf5": hdf5.read,
    ".keras": hdf5.read,
    ".npz": read_npz,
    ".ckpt": _checkpoint,
    ".index": _checkpoint,
}

KINDS = {
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
}

WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights")
EMA_WRAPPERS = ("state_dict_ema", "model_ema", "ema_state_dict", "ema", "ema_model")
PREFIXES = ("module.", "_orig_mod.", "model.", "ema_model.")


def unwrapped(
    data: dict[str, Any], path: Path, ema: bool = False
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Find the state dict in what training scripts wrap around it, and say what was done."""
    data, notes, averaged = _state_dict(data, path, ema)
    wrapped = _unprefixed({key: value for key, value in data.items() if isinstance(value, Tensor)}, notes)
    if passed := [key for key, value in data.items() if not isinstance(value, Tensor)]:
        notes.append(f"passed over {', '.join(map(repr, passed))}, which are no tensors")
    tensors, passed_over = without_training(wrapped, ema)
    if ema and not averaged and all(tensors[key] is wrapped[key] for key in tensors):
        raise UserError(f"{path} has no averaged copy of the weights: leave out --ema.")
    return tensors, (*notes, *passed_over)


def _state_dict(data: dict[str, Any], path: Path, ema: bool) -> tuple[dict[str, Any], list[str], bool]:
    """Descend to where the tensors are; say which entries were taken, and whether they are averages."""
    notes: list[str] = []
    is_average, seen = False, {id(data)}
    while key := _wrapper(data, ema and not is_average):
        notes.append(f"took {key!r} of the file's {', '.join(map(repr, data))}")
        is_average = is_average or key in EMA_WRAPPERS
        data = data[key]
        if id(data) in seen:
            raise UserError(f"{path} is refused: its entry {key!r} holds itself.")
        seen.add(id(data))
    if odd := [key for key in data if not isinstance(key, str)]:
        raise UserError(f"{path} is refused: it names an entry {odd[0]!r}, and names are text.")
    if not any(isinstance(value, Tensor) for value in data.values()):
        raise UserError(f"{path} holds no weights: none of its entries is a tensor.")
    return data, notes, is_average


def _wrapper(data: dict[str, Any], ema: bool) -> str | None:
    """Return the entry in which weights are, if they are not here: a single number may be an accuracy."""
    plain = [key for key in WRAPPERS if isinstance(data.get(key), dict)]
    averaged = [key for key in EMA_WRAPPERS if isinstance(data.get(key), dict)]
    if any(isinstance(value, Tensor) and value.numel() > 1 for value in data.values()):
        return next(iter(averaged), None) if ema else None
    return next(iter((averaged + plain) if ema or not plain else plain), None)


def _unprefixed(tensors: dict[str, Tensor], notes: list[str]) -> dict[str, Tensor]:
    """Take off what wrappers put before every name."""
    if tensors.pop("n_averaged", None) is not None:
        notes.append("passed over 'n_averaged', which counts what was averaged")
    while prefix := next((p for p in PREFIXES if tensors and all(k.startswith(p) for k in tensors)), None):
        tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
        notes.append(f"took the prefix {prefix!r} off all names")
    return tensors


def _plain_tensors(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Refuse kinds of tensors that no weights have: sparse, nested, quantized, complex, without values."""
    for name, tensor in tensors.items():
        plain = tensor.layout == torch.strided and not tensor.is_nested and not tensor.is_quantized
        if not plain or tensor.device.type != "cpu" or tensor.dtype not in KINDS:
            raise UserError(f"{path} is refused: {name!r} is a kind of tensor that no weights are.")
    return tensors
