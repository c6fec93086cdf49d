"""What a network starts from: published weights, any file that Residua reads, or chance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from residua.errors import UserError
from residua.nets.initialization import seeded
from residua.nets.spec import AnySpec
from residua.nets.zoo import spec as named_spec
from residua.nets.zoo import title
from residua.weights.conversion import Asked, described, located
from residua.weights.convert import Converted, read
from residua.weights.download import fetch, show_progress
from residua.weights.layouts.base import inference
from residua.weights.metadata import Preprocessing
from residua.weights.modelfile import is_model_file
from residua.weights.published import all_published, published
from residua.weights.transfer import Patience

HURRIED = Patience(timeout=10, attempts=2)  # for weights that nobody asked for


@dataclass(frozen=True)
class Beginning:
    """Where a training starts, in words and in tensors; none are there for a random start."""

    said: str
    source: str = "none"
    spec: AnySpec | None = None
    state: dict[str, Tensor] | None = None
    preprocessing: Preprocessing | None = None


def from_weights(weights: str, model: str | None, classes: int, seed: int) -> Beginning:
    """Start from published weights of a network, or from anyone's file."""
    if weights.split("-")[0] == "imagenet":
        return _published(weights, str(model), classes, seed)
    converted = _read(located(weights, show_progress), model, classes, seed)
    _check_is(weights, converted.spec, model)
    known = described(weights, converted, Asked(model=model)).preprocessing
    said = "; ".join([weights, *converted.steps])
    return Beginning(said, weights, converted.spec, converted.state, known)


def from_published_if_possible(model: str, classes: int, seed: int) -> Beginning:
    """Start from published weights where there are some at hand, or on a server that answers."""
    if model not in {row.name for row in all_published()}:
        return Beginning(f"none, for nobody publishes any for {model}: from scratch")
    try:
        return _published("imagenet", model, classes, seed, HURRIED)
    except UserError as error:
        return Beginning(f"none, so from scratch, for the published ones cannot be had: {error}")


def _published(
    weights: str, model: str, classes: int, seed: int, patience: Patience | None = None
) -> Beginning:
    entry = published(model, weights.partition("-")[2].upper() or None)
    path = fetch(
        entry.url,
        sha256=entry.sha256,
        file_name=entry.file_name,
        progress=show_progress,
        patience=patience or Patience(),
    )
    converted = _read(path, model, classes, seed)
    said = f"{weights}, published by torchvision ({entry.file_name}), with a new classifier"
    return Beginning(said, weights, converted.spec, converted.state, entry.preprocessing)


def _check_is(weights: str, found: AnySpec, model: str | None) -> None:
    """Fail where the weights are another network's than was asked for; a file may know better than a name."""
    if model is None:
        return
    wanted = named_spec(model, num_classes=found.num_classes, in_channels=found.in_channels)
    if inference(found) != inference(wanted):
        raise UserError(
            f"{weights} is {title(found)}, not {title(wanted)}: leave --model out, or correct it."
        )


def _read(path: Path, model: str | None, classes: int, seed: int) -> Converted:
    """Read weights; a new classifier is drawn by the seed."""
    with seeded(seed):
        return read(path, model=None if is_model_file(path) else model, num_classes=classes)
