"""From anyone's file to a model file, and back to anyone's."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from residua import __version__
from residua.errors import unknown
from residua.files import check_new
from residua.nets.zoo import title
from residua.weights.cache import file_sha256
from residua.weights.classes import read_classes
from residua.weights.convert import Converted, read
from residua.weights.download import fetch, fetch_repository
from residua.weights.layouts import LAYOUTS
from residua.weights.metadata import Accuracy, ClassEntry, Metadata, Preprocessing, Provenance
from residua.weights.modelfile import write_model
from residua.weights.presets import preset
from residua.weights.published import by_digest
from residua.weights.sources import READERS, WEIGHTS

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Asked:
    """What the user says of a file beyond what is in it."""

    model: str | None = None
    layout: str = "auto"
    num_classes: int | None = None
    in_channels: int | None = None
    drop_background: bool = False
    ignore: Sequence[str] = ()
    ema: bool = False
    preprocess: str | None = None
    classes: str | None = None


def convert(
    source: str, out: Path, asked: Asked, to: str = "residua", progress: Progress | None = None
) -> Metadata:
    """Read weights from a path, a URL or a Hugging Face repository, and write them in a layout."""
    if to not in LAYOUTS:
        raise unknown("layout", to, LAYOUTS)
    path = located(source, progress)
    check_new(out, path, path / WEIGHTS, asked.classes, asked.preprocess)
    converted = read(
        path,
        model=asked.model,
        layout=asked.layout,
        num_classes=asked.num_classes,
        in_channels=asked.in_channels,
        drop_background=asked.drop_background,
        ignore=asked.ignore,
        ema=asked.ema,
    )
    metadata = described(source, converted, asked)
    if to == "residua" and out.suffix.lower() == ".safetensors":
        write_model(out, converted.state, metadata)
    else:
        layout = LAYOUTS[to]
        layout.store(out, layout.write(metadata.spec, converted.state), metadata)
    return metadata


def located(source: str, progress: Progress | None = None) -> Path:
    """Return a local path; what is elsewhere is fetched once, and a name that ends as a file's is a path."""
    if re.match(r"(https?|file)://", source):
        return fetch(source, sha256=None, progress=progress)
    path = Path(source)
    if (
        not path.exists()
        and re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", source)
        and not path.parent.exists()
        and path.suffix.lower() not in READERS
    ):
        return fetch_repository(source, progress=progress)
    return path


def described(source: str, converted: Converted, asked: Asked) -> Metadata:
    """Say what is known of the weights: by the source, by the hash of a published file, or by the user."""
    classes, preprocessing, accuracy = _known(converted)
    if asked.drop_background and classes:
        classes = classes[1:]
    if converted.new_classifier:
        classes = None
    if converted.steps or asked.preprocess or asked.model:
        accuracy = None  # it was measured on something else
    if preprocessing and len(preprocessing.mean) != converted.spec.in_channels:
        preprocessing = None
    if asked.classes:
        classes = read_classes(Path(asked.classes))
    if asked.preprocess:
        preprocessing = preset(asked.preprocess)
    return Metadata(
        spec=converted.spec,
        classes=classes,
        preprocessing=preprocessing,
        provenance=_provenance(source, converted),
        accuracy=accuracy,
        temperature=converted.stated.temperature if converted.stated and not converted.steps else None,
    )


def _provenance(source: str, converted: Converted) -> Provenance:
    """Where the weights come from; a model file goes on with what it says of that."""
    if converted.stated:
        old = converted.stated.provenance
        return replace(old, steps=(*old.steps, *converted.steps))
    return Provenance(
        source=source, layout=converted.layout, steps=converted.steps, software=f"residua {__version__}"
    )


def _known(
    converted: Converted,
) -> tuple[tuple[ClassEntry, ...] | None, Preprocessing | None, Accuracy | None]:
    stated = converted.stated
    if stated:
        return stated.classes, stated.preprocessing, stated.accuracy
    source = converted.source
    if source.path.is_file():
        known = by_digest(file_sha256(source.path))
        if known:
            return known.classes, known.preprocessing, known.accuracy
    return (*LAYOUTS[converted.layout].metadata(source), None)


def summary(metadata: Metadata, to: str) -> list[str]:
    """Say in a few lines what a conversion gave."""
    provenance = metadata.provenance
    read_as = f", read in the layout {provenance.layout}" if provenance.layout else ""
    return [f"{title(metadata.spec)}{read_as}", *provenance.steps, _advice(metadata, to)]


def _advice(metadata: Metadata, to: str) -> str:
    if to == "huggingface":
        return "classes and preprocessing are written as far as Hugging Face's files can say them"
    if to != "residua":
        return f"{to} has no place for classes and preprocessing: only weights are written"
    if metadata.preprocessing and metadata.classes:
        return f"{len(metadata.classes)} named classes, preprocessing known"
    missing = []
    if not metadata.preprocessing:
        missing.append("preprocessing unknown: photos cannot be predicted before --preprocess")
    if not metadata.classes:
        missing.append("class names unknown: classes are called by their numbers before --classes")
    return "; ".join(missing)
