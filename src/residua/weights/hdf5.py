"""Keras' files: HDF5, plain or in a `.keras` archive. Nothing in them is run; all is bounded before reading.

Keras has two formats. The older (`.h5`) names its groups by layers: `conv1_conv/conv1_conv/kernel:0`. The
newer (`.weights.h5`, and what is in `.keras`) counts the layers of each class and the variables
of each layer: `layers/conv2d_12/vars/0`. Since Keras 3.6 `vars` has the layer's name as an attribute; from
older files the group's own name ("conv2d_12") is all there is.
"""

from __future__ import annotations

import contextlib
import mmap
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from residua.errors import UserError
from residua.files import replacing
from residua.weights.hdf5_format import Content, Dataset, Hdf5, Place

MEMBER = "model.weights.h5"
COUNTED = ("layers", "_layer_checkpoint_dependencies")  # groups of the newer format, since 2.13 and in 2.12
NAMED = "model_weights"  # group of the older format, where a file has more than weights
RENAMED = {"probs": "predictions"}  # the classifier, as keras-applications called it
VARIABLES: dict[str, tuple[str, ...]] = {
    "conv2d": ("kernel", "bias"),
    "dense": ("kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
}

Found = tuple[Place, Dataset, int]  # with the address of the group


def read(path: Path) -> dict[str, Tensor]:
    """Read the weights of a model's layers under plain names ("conv1_conv/kernel")."""
    with _opened(path) as file:
        entries: dict[str, Dataset] = {}
        for name, dataset in _entries(file):
            if name in entries:
                raise UserError(f"it has two tensors {name}")
            entries[name] = dataset
        claimed = sum(dataset.size for dataset in entries.values())
        if claimed > len(file.content):
            raise UserError(f"its tensors claim {claimed:,} bytes, it has {len(file.content):,}")
        return {name: _tensor(file, dataset) for name, dataset in entries.items()}


def write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write weights that `load_weights` reads; the order is that of the model's layers."""
    if not path.name.endswith(".h5"):
        raise UserError(
            f"{path} cannot be written: without Keras only weights can be, to a file ending in .weights.h5, "
            "and model.load_weights() reads them."
        )
    try:
        import h5py
    except ImportError:
        raise UserError('Keras files are written by h5py: pip install "residua[keras]".') from None
    arrays = {name: tensor.detach().cpu().float().numpy() for name, tensor in tensors.items()}
    write_into = _write_counted if path.name.endswith(".weights.h5") else _write_named
    with (
        replacing(path) as temporary,
        h5py.File(temporary, "w", locking=False) as file,  # it is locked already
    ):
        write_into(file, arrays)


def groups(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Return the group of each layer: its class and how many of that class come before it."""
    found: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for name, shape in shapes.items():
        layer, _, variable = name.rpartition("/")
        if layer not in found:
            kind = {"gamma": "batch_normalization"}.get(variable, "conv2d" if len(shape) == 4 else "dense")
            found[layer] = f"{kind}_{counts[kind]}" if counts[kind] else kind
            counts[kind] += 1
    return found


def _write_counted(file: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    places = groups({name: array.shape for name, array in arrays.items()})
    file.create_group("vars")  # the model's own, which Keras 2 looks for
    for name, array in arrays.items():
        layer, _, variable = name.rpartition("/")
        group = file.require_group(f"layers/{places[layer]}/vars")
        group.attrs["name"] = layer
        group[str(_variables(places[layer]).index(variable))] = array


def _write_named(file: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    layers: dict[str, list[str]] = {}
    for name, array in arrays.items():
        layer = name.rpartition("/")[0]
        layers.setdefault(layer, []).append(name)
        file[f"{layer}/{name}"] = array
    file.attrs["keras_version"] = "3"  # without it Keras 2 turns kernels as Keras 1 had them
    file.attrs["layer_names"] = [layer.encode() for layer in layers]
    for layer, names in layers.items():
        file[layer].attrs["weight_names"] = [name.encode() for name in names]


def _variables(group: str) -> tuple[str, ...]:
    """Names of the variables that a group of the newer format counts."""
    return VARIABLES.get(re.sub(r"_\d+$", "", group), ())


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Hdf5]:
    """Open a file, and say what is wrong with it in one sentence."""
    try:
        with _content(path) as content:
            yield Hdf5(content)
    except UserError as error:
        raise UserError(f"{path} is refused: {error}.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except Exception as error:  # whatever a hostile file provokes
        raise UserError(f"{path} is refused: it is damaged ({type(error).__name__}).") from None


def _content(path: Path) -> contextlib.AbstractContextManager[Content]:
    """Return the bytes of the HDF5 file; only those of an archive are taken into memory."""
    if path.suffix.lower() == ".keras":
        return contextlib.nullcontext(_member(path))
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _member(path: Path) -> bytes:
    """Read the weights out of an archive, in which Keras compresses nothing."""
    with zipfile.ZipFile(path) as archive:
        found = [entry for entry in archive.infolist() if entry.filename == MEMBER]
        if len(found) != 1:
            raise UserError(f"it has {len(found)} members {MEMBER} instead of one")
        (entry,) = found
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > path.stat().st_size:
            raise UserError(f"its {MEMBER} would grow on reading, and what Keras writes does not")
        with archive.open(entry) as file:
            return file.read(entry.file_size)


def _entries(file: Hdf5) -> Iterator[tuple[str, Dataset]]:
    """All weights of the layers with their plain names; the state of an optimizer is passed over."""
    found = list(file.datasets())
    outermost = {place[0] for place, _, _ in found}
    holder = next((name for name in (*COUNTED, NAMED) if name in outermost), None)
    inner = [(place[1:], dataset, group) for place, dataset, group in found if place[0] == holder]
    return _counted(file, inner) if holder in COUNTED else _named(inner or found)


def _counted(file: Hdf5, found: Sequence[Found]) -> Iterator[tuple[str, Dataset]]:
    """Name the datasets of the newer format."""
    for (group, *between, last), dataset, holder in found:
        if set(between) & set(COUNTED):
            raise _nested(group)
        if between != ["vars"]:  # a layer's own layers, such as the seeds of a dropout
            yield "/".join((group, *between, last)), dataset
            continue
        names = dict(enumerate(_variables(group)))
        variable = names.get(int(last), last) if last.isdecimal() else last
        yield f"{file.text(holder, 'name') or group}/{variable}", dataset


def _named(found: Sequence[Found]) -> Iterator[tuple[str, Dataset]]:
    """Name the datasets of the older format, in which a layer's weights lie in the same groups."""
    scopes: dict[str, list[str]] = {}
    for (layer, *scope, last), dataset, _ in found:
        if scopes.setdefault(layer, scope) != scope:
            raise _nested(layer)
        yield f"{RENAMED.get(layer, layer)}/{last.removesuffix(':0')}", dataset


def _nested(name: str) -> UserError:
    return UserError(
        f"{name!r} in it is a model within the model: save that one by itself, "
        "as model.get_layer(its name).save(...) does"
    )


def _tensor(file: Hdf5, dataset: Dataset) -> Tensor:
    array = file.array(dataset)
    if array.dtype.kind == "V":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)
