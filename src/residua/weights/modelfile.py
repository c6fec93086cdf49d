"""The model file: one `.safetensors` with weights and everything needed to use them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from residua import __version__
from residua.errors import UserError
from residua.nets.network import Network, Vgg, build_network
from residua.nets.plan import plan
from residua.nets.spec import AnySpec, Spec
from residua.weights.layouts.base import tensors_of
from residua.weights.metadata import Accuracy, ClassEntry, Metadata, Preprocessing, Provenance
from residua.weights.model import Stored
from residua.weights.tensorfile import (
    FLOATS,
    KEY,
    Stated,
    is_whole,
    open_safely,
    read_into,
    read_tensors,
    stated_digest,
    stated_of,
    stated_tensors,
    write,
)

SOFTWARE = f"residua {__version__}"


def save(
    model: Stored | Network | Vgg,
    path: str | os.PathLike[str],
    *,
    classes: Sequence[ClassEntry | str] | None = None,
    preprocessing: Preprocessing | None = None,
    provenance: Provenance | None = None,
    accuracy: Accuracy | None = None,
) -> Path:
    """Write a model file: the whole of it or nothing; an old file stays until the new one is whole."""
    model = getattr(model, "_orig_mod", model)  # what was compiled
    if isinstance(model, nn.Module):
        model = Stored(model, Metadata(spec=model.spec, provenance=Provenance(software=SOFTWARE)))
    entries = tuple(ClassEntry(id=c, name=c) if isinstance(c, str) else c for c in classes or ())
    old = model.metadata
    metadata = Metadata(
        spec=old.spec,
        classes=entries or old.classes,
        preprocessing=preprocessing or old.preprocessing,
        provenance=provenance or old.provenance,
        accuracy=accuracy or old.accuracy,
        temperature=old.temperature,
    )
    write_model(Path(path), model.network.state_dict(), metadata)
    return Path(path)


def write_model(path: Path, state: dict[str, Tensor], metadata: Metadata) -> None:
    """Write a state dict and its metadata as a model file; nothing of what no reader would take."""
    try:
        _check_tensors(metadata.spec, stated_of(state))
    except UserError as error:
        raise UserError(f"{path} was not written, as the network is not its spec's: {error}") from None
    write(path, state, metadata.to_json())


def write_temperature(path: Path, temperature: float, digest: str | None = None) -> None:
    """Write a temperature into a model file, whole or not at all; nothing else in it changes.

    With the digest of a file that was loaded, to find another one there is an error.
    """
    inspect(path)
    tensors = read_tensors(path)
    metadata, now = _stated(path)  # last: what stands there now is what was read
    if digest not in (None, now):
        raise UserError(f"{path} is another file than the one that was loaded: it was changed since.")
    write_model(path, tensors, replace(metadata, temperature=temperature))


def is_model_file(path: Path) -> bool:
    """Whether a file says that it is one of ours."""
    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return False
    with open_safely(path) as tensors:
        return KEY in (tensors.metadata() or {})


def load(path: str | os.PathLike[str]) -> Stored:
    """Read a model file; whatever is wrong with it is one sentence, and found first but for its digest."""
    file = Path(path)
    metadata, digest = _stated(file)
    network = _network(metadata.spec)
    if not read_into(file, network.state_dict(), digest):
        raise _damaged(file)
    return Stored(network.eval(), metadata, digest)


def inspect(path: str | os.PathLike[str]) -> Metadata:
    """Check a model file from end to end and return what it says of itself."""
    file = Path(path)
    metadata, _ = _stated(file)
    if not is_whole(file):
        raise _damaged(file)
    return metadata


def _damaged(file: Path) -> UserError:
    return UserError(f"{file} is damaged: its content does not have the checksum it states.")


def _stated(file: Path) -> tuple[Metadata, str]:
    """Return the metadata, after holding the header against it, and the digest."""
    if file.is_dir():
        found = sorted(file.glob("*.safetensors"))  # of a run, the best before the last
        raise UserError(f"{file} is a folder: name {found[0] if found else 'a model file'}.")
    with open_safely(file) as tensors:
        stated = tensors.metadata() or {}
        digest = stated_digest(stated)
        if not digest:
            raise UserError(f"{file} is no model file of Residua: `residua convert` makes one of it.")
        try:
            metadata = Metadata.from_json(stated[KEY])
            _check_tensors(metadata.spec, stated_tensors(tensors))
        except UserError as error:
            raise UserError(f"{file} is not a valid model file: {error}") from None
    return metadata, digest


def _check_tensors(spec: AnySpec, tensors: Mapping[str, Stated]) -> None:
    """Every tensor of the network is there in its shape, and no other; nothing is planned beyond the file."""
    units = sum(spec.units if isinstance(spec, Spec) else spec.convolutions)
    if units > len(tensors):
        raise UserError(f"its spec asks for {units:,} units, its weights are {len(tensors):,} tensors.")
    wanted = {
        f"{name}.{part}": shape
        for name, layer in plan(spec).layers
        for part, shape in tensors_of(layer, spec)
    }
    if odd := sorted(wanted.keys() ^ tensors.keys()):
        verb = "lacks" if odd[0] in wanted else "has an unknown"
        raise UserError(f"it {verb} tensor {odd[0]!r} ({len(odd)} in all).")
    for name, shape in wanted.items():
        found, kind = tensors[name]
        if found != shape:
            raise UserError(f"tensor {name!r} is {found}, the spec asks for {shape}.")
        if kind not in (("I64",) if name.endswith("num_batches_tracked") else FLOATS):
            raise UserError(f"tensor {name!r} has the type {kind}, which no weights have.")


def _network(spec: AnySpec) -> Network | Vgg:
    """Build a network without drawing weights that would be overwritten."""
    with torch.device("meta"):
        network = build_network(plan(spec))
    return network.to_empty(device="cpu")
