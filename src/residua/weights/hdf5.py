"""Keras' files: HDF5, plain or in a `.keras` archive. Nothing in them is run; all is bounded before reading.

Keras has two formats. The older (`.h5`) names its groups by layers: `conv1_conv/conv1_conv/kernel:0`. The
newer (`.weights.h5`, and what is in `.keras`) counts the layers of each class and the variables
of each layer: `layers/conv2d_12/vars/0`. Since Keras 3.6 `vars` has the layer's name as an attribute; from
older files the group's own name ("conv2d_12") is all there is.
"""

from __future__ import annotations

import contextlib
import io
import math
import mmap
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from residua.errors import UserError
from residua.weights.tensorfile import replacing

MEMBER = "model.weights.h5"
COUNTED = ("layers", "_layer_checkpoint_dependencies")  # groups of the newer format, since 2.13 and in 2.12
NAMED = "model_weights"  # group of the older format, where a file has more than weights
HEAP = b"GCOL\x01"  # how a heap of texts begins
DEPTH = 16  # of groups within groups
RENAMED = {"probs": "predictions"}  # the classifier, as keras-applications called it
VARIABLES: dict[str, tuple[str, ...]] = {
    "conv2d": ("kernel", "bias"),
    "dense": ("kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
}

Place = tuple[str, ...]  # names of groups from the outside in, and of what is in the last


def read(path: Path) -> dict[str, Tensor]:
    """Read the weights of a model's layers under plain names ("conv1_conv/kernel")."""
    with _opened(path) as (file, size):
        entries: dict[str, Any] = {}
        for name, dataset in _entries(file):
            if name in entries:
                raise UserError(f"it has two tensors {name}")
            entries[name] = dataset
        claimed = sum(_checked_size(name, dataset) for name, dataset in entries.items())
        if claimed > size:
            raise UserError(f"its tensors claim {claimed:,} bytes, it has {size:,}")
        return {name: _tensor(dataset) for name, dataset in entries.items()}


def write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write weights that `load_weights` reads; the order is that of the model's layers."""
    if not path.name.endswith(".h5"):
        raise UserError(
            f"{path} cannot be written: without Keras only weights can be, to a file ending in .weights.h5, "
            "and model.load_weights() reads them."
        )
    h5py = _library()
    arrays = {name: tensor.detach().cpu().float().numpy() for name, tensor in tensors.items()}
    write_into = _write_counted if path.name.endswith(".weights.h5") else _write_named
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
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


def _library() -> Any:
    try:
        import h5py
    except ImportError:
        raise UserError('Keras files need h5py: pip install "residua[keras]".') from None
    return h5py


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, int]]:
    """Open a file, and say what is wrong with it in one sentence; its size is what its tensors may claim."""
    h5py = _library()
    try:
        packed = path.suffix.lower() == ".keras"
        with _content(path, packed) as content:
            _check_heaps(content)
            size = len(content)
            source = io.BytesIO(content) if packed else path
        with h5py.File(source, "r") as file:
            if file.id.get_create_plist().get_sizes() != (8, 8):
                raise UserError("it does not count in 8 bytes, as Keras' files do")
            yield file, size
    except UserError as error:
        raise UserError(f"{path} is refused: {error}.") from None
    except Exception as error:  # whatever a hostile file provokes
        raise UserError(f"{path} is refused: it is no file of Keras ({type(error).__name__}).") from None


def _content(path: Path, packed: bool) -> contextlib.AbstractContextManager[Any]:
    """Return the bytes of the HDF5 file, which only an archive's are taken into memory."""
    if packed:
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


def _check_heaps(content: bytes | mmap.mmap) -> None:
    """Walk the heaps in which texts lie: in a damaged one HDF5 (2.0 at least) would stand still forever."""
    start = content.find(HEAP)
    while start >= 0:
        place, end = start + 16, start + int.from_bytes(content[start + 8 : start + 16], "little")
        while place + 16 <= min(end, len(content)):
            used = any(content[place : place + 2])
            length = int.from_bytes(content[place + 8 : place + 16], "little")
            step = 16 + length + -length % 8 if used else length
            if step < 16:
                raise UserError("its texts are damaged")
            place += step
        start = content.find(HEAP, start + 1)


def _entries(file: Any) -> Iterator[tuple[str, Any]]:
    """All weights of the layers with their plain names; the state of an optimizer is passed over."""
    names = list(file)
    for holder in COUNTED:
        if holder in names:
            return _counted(_child(file, holder))
    return _named(_child(file, NAMED) if NAMED in names else file)


def _counted(layers: Any) -> Iterator[tuple[str, Any]]:
    """Name the datasets of the newer format."""
    for (group, *between, last), dataset in _datasets(layers):
        if set(between) & set(COUNTED):
            raise _nested(group)
        if between != ["vars"]:  # a layer's own layers, such as the seeds of a dropout
            yield "/".join((group, *between, last)), dataset
            continue
        names = dict(enumerate(_variables(group)))
        variable = names.get(int(last), last) if last.isdecimal() else last
        yield f"{_text(dataset.parent, 'name') or group}/{variable}", dataset


def _named(layers: Any) -> Iterator[tuple[str, Any]]:
    """Name the datasets of the older format, in which a layer's weights lie in the same groups."""
    scopes: dict[str, list[str]] = {}
    for (layer, *scope, last), dataset in _datasets(layers):
        if scopes.setdefault(layer, scope) != scope:
            raise _nested(layer)
        yield f"{RENAMED.get(layer, layer)}/{last.removesuffix(':0')}", dataset


def _nested(name: str) -> UserError:
    return UserError(
        f"{name!r} in it is a model within the model: save that one by itself, "
        "as model.get_layer(its name).save(...) does"
    )


def _datasets(group: Any) -> Iterator[tuple[Place, Any]]:
    """Walk all groups; nothing leads out of the file, and nothing is met twice."""
    h5py = _library()
    seen: set[int] = set()
    open_ends: list[tuple[Place, Any]] = [((), group)]
    while open_ends:
        place, node = open_ends.pop()
        address = h5py.h5o.get_info(node.id).addr
        if address in seen or len(place) > DEPTH:
            raise UserError(f"{place[-1]!r} in it is reached twice, or lies too deep")
        seen.add(address)
        if isinstance(node, h5py.Dataset):
            yield place, node
        else:
            open_ends += [((*place, name), _child(node, name)) for name in node]


def _child(group: Any, name: str) -> Any:
    """Open a member of a group, unless it is a link: that may lead to any file of this machine."""
    h5py = _library()
    if group.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
        raise UserError(f"{name!r} in it is a link")
    node = group[name]
    if not isinstance(node, (h5py.Group, h5py.Dataset)):
        raise UserError(f"{name!r} in it is neither a group nor a dataset")
    return node


def _checked_size(name: str, dataset: Any) -> int:
    """Return the bytes of a dataset that is stored as Keras stores it: all of it, plainly, in this file."""
    h5d = _library().h5d
    how = dataset.id.get_create_plist()
    if how.get_layout() == h5d.VIRTUAL or how.get_external_count():
        raise UserError(f"{name!r} in it lies in another file")
    if how.get_layout() == h5d.CHUNKED or how.get_nfilters():
        raise UserError(
            f"{name!r} in it is packed, as by Keras it never is; h5repack -l CONTI -f NONE unpacks"
        )
    numeric = dataset.dtype.kind in "fiu" or _is_bfloat16(dataset)
    if not numeric or dataset.dtype.itemsize > 8 or dataset.shape is None:
        raise UserError(f"{name!r} in it holds no numbers")
    size: int = math.prod(dataset.shape) * dataset.dtype.itemsize
    if size != dataset.id.get_storage_size():
        raise UserError(f"{name!r} in it claims {size:,} bytes, and not as many are stored")
    return size


def _tensor(dataset: Any) -> Tensor:
    array = np.asarray(dataset[()])
    if _is_bfloat16(dataset):
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))


def _is_bfloat16(dataset: Any) -> bool:
    return bool(dataset.dtype == np.dtype("V2")) and _text(dataset, "dtype") == "bfloat16"


def _text(node: Any, key: str) -> str | None:
    """Read a short text beside a group or dataset."""
    if key not in node.attrs:
        return None
    attribute = node.attrs.get_id(key)
    if attribute.shape != () or attribute.get_storage_size() > 1000:
        raise UserError(f"the attribute {key!r} in it is no short text")
    value = node.attrs[key]
    if not isinstance(value, str):
        raise UserError(f"the attribute {key!r} in it is no short text")
    return value
