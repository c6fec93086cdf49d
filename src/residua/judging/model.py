"""A model: a network with its classes and preprocessing, ready to predict."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from residua.errors import UserError
from residua.judging.figures.ranking import TOP, ranked
from residua.judging.predicting.arrays import batches, one_or_many
from residua.judging.predicting.files import predict_file, predict_files
from residua.nets.devices import in_precision
from residua.nets.network import Network, Vgg
from residua.weights import modelfile
from residua.weights.metadata import ClassEntry, Preprocessing
from residua.weights.model import Stored
from residua.weights.preprocessing import preprocess

BATCH = 32

Name = str | os.PathLike[str]


@dataclass(frozen=True)
class Guess:
    """One class and its probability."""

    label: str
    id: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image: its first guess, and the next ones."""

    label: str
    id: str
    probability: float
    top: tuple[Guess, ...]


@dataclass(frozen=True)
class Model(Stored):
    """A network with its classes and preprocessing, ready to predict."""

    def predict(
        self,
        images: Any,
        top: int = TOP,
        *,
        batch: int = BATCH,
        workers: int | None = None,
        precision: str = "fp32",
    ) -> Any:
        """Classify pictures: one (a path or three axes), or many (a folder, paths, four axes or a list).

        One picture gives a `Prediction`, several arrays or tensors a list of them. A folder, or any iterable
        of paths and folders, gives an iterator that reads ahead and never holds much: a `Predicted` for each
        file, with its `path`, and with `error` in place of a label where a file cannot be read.

        In memory, whole numbers are pixels from 0 to 255 and get the model's preprocessing: arrays are
        (height, width, channels), tensors (channels, height, width). Floating numbers are taken as
        preprocessed already: (channels, height, width) for both.

        >>> for found in model.predict("photos"):  # doctest: +SKIP
        ...     print(found.path, found.label, found.probability, found.error)
        """
        if isinstance(images, (str, os.PathLike)) and not Path(images).is_dir():
            return predict_file(self, images, top, precision)
        if (paths := _paths(images)) is not None:
            return predict_files(self, paths, top=top, batch=batch, workers=workers, precision=precision)
        single, given = one_or_many(images)
        found = [each for some in batches(given, batch) for each in self._predicted(some, top, precision)]
        return found[0] if single else found

    def classify(self, x: Tensor, top: int = TOP, precision: str = "fp32") -> list[Prediction]:
        """Ask the network about a batch of preprocessed images, wherever it is."""
        with evaluating(self.network), torch.inference_mode(), in_precision(precision, self.device):
            return self.predictions(self.network(self.as_input(x)), top)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def rule(self) -> Preprocessing:
        """Return what makes its input of photos; not to know that, or the classes' names, is an error."""
        if self.preprocessing is None:
            raise UserError(
                "photos cannot be predicted: nobody said how this model's input was preprocessed."
            )
        if self.classes is None:
            raise UserError("photos cannot be predicted: nobody said what this model's classes are called.")
        return self.preprocessing

    def as_input(self, x: Tensor) -> Tensor:
        """Put preprocessed images where the network is, in its precision."""
        weight = next(self.network.parameters())
        if x.shape[1] != self.network.spec.in_channels:
            raise UserError(
                f"images have {x.shape[1]} channels, the network takes {self.network.spec.in_channels}."
            )
        return x.to(weight.device, weight.dtype)

    def chances(self, logits: Tensor) -> Tensor:
        """Return the classes' probabilities, at the model's temperature."""
        return (logits.float() / (self.metadata.temperature or 1.0)).softmax(1)

    def predictions(self, logits: Tensor, top: int = TOP) -> list[Prediction]:
        """Name the best classes of each image; at least one."""
        chances = self.chances(logits).cpu()
        places = ranked(chances, max(1, top))
        rows = zip(chances.gather(1, places).tolist(), places.tolist(), strict=True)
        return [self._prediction(*row) for row in rows]

    def guess(self, place: int, chance: float) -> Guess:
        """Name a class by its number."""
        entry = self.classes[place] if self.classes else ClassEntry(id=str(place), name=str(place))
        return Guess(entry.name, entry.id, chance)

    def _predicted(self, images: Tensor, top: int, precision: str) -> list[Prediction]:
        x = images if images.is_floating_point() else preprocess(images, self.rule())
        return self.classify(x, top, precision)

    def _prediction(self, chances: list[float], places: list[int]) -> Prediction:
        guesses = tuple(map(self.guess, places, chances))
        return Prediction(guesses[0].label, guesses[0].id, guesses[0].probability, guesses)


def load(path: Name) -> Model:
    """Read a model file; whatever is wrong with it is one sentence, before memory is taken."""
    stored = modelfile.load(path)
    return Model(stored.network, stored.metadata)


@contextlib.contextmanager
def evaluating(network: Network | Vgg) -> Iterator[None]:
    """Let a network judge, not learn; afterwards it is as it was."""
    mode = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(mode)


def _paths(images: Any) -> Iterable[Name | None] | None:
    """Return the paths that were given, or None where it was something else."""
    if isinstance(images, (str, os.PathLike)):
        return [images]
    if isinstance(images, (list, tuple)):
        return images if images and isinstance(images[0], (str, os.PathLike)) else None
    known = isinstance(images, (Tensor, bytes)) or hasattr(images, "__array_interface__")
    return None if known or not isinstance(images, Iterable) else images
