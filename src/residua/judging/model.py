"""A model: a network with its classes and preprocessing, ready to predict."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from residua.errors import UserError
from residua.files import Name
from residua.judging.figures.ranking import TOP, ranked
from residua.judging.predicting.arrays import batches, one_or_many
from residua.judging.predicting.files import Said, predict_file, predict_files
from residua.judging.predicting.prediction import Guess, Prediction
from residua.nets.devices import check_precision, in_precision
from residua.nets.network import Network, Vgg
from residua.nets.values import at_least, checked
from residua.weights import modelfile
from residua.weights.model import Stored
from residua.weights.preprocessing import normalized, preprocess

BATCH = 32


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
        of paths and folders, gives an iterator that reads ahead and never holds much: for each file its
        `path` and `prediction`, or an `error` in place of that where there is none.

        In memory, whole numbers are pixels from 0 to 255 and get the model's preprocessing: arrays are
        (height, width, channels), tensors (channels, height, width). Floating numbers are taken as
        preprocessed already: (channels, height, width) for both.

        >>> for found in model.predict("photos"):  # doctest: +SKIP
        ...     print(found.path, found.prediction.label if found.prediction else found.error)
        """
        top, batch = checked("top", top, int), checked("batch", batch, int)
        workers = checked("workers", workers, int | None)
        at_least("top", top, 1)
        at_least("batch", batch, 1)
        at_least("workers", workers, 0)
        check_precision(checked("precision", precision, str), self.device)
        ask = partial(self._of_squares, top=top, precision=precision)
        if isinstance(images, (str, os.PathLike)) and not _is_folder(images):
            return predict_file(images, self.rule(), ask)
        if (paths := _paths(images)) is not None:
            return predict_files(paths, self.rule(), ask, batch=batch, workers=workers)
        single, given = one_or_many(images)
        found = [each for some in batches(given, batch) for each in self._of_any(some, top, precision)]
        if None in found:
            of = "this image" if single else f"image {found.index(None) + 1} of {len(found)}"
            raise UserError(f"the network's answer to {of} is no number: it cannot be predicted.")
        return found[0] if single else found

    def classify(self, x: Tensor, top: int = TOP, precision: str = "fp32") -> Said:
        """Ask the network about a batch of preprocessed images, wherever it is."""
        with evaluating(self.network), torch.inference_mode(), in_precision(precision, self.device):
            return self.predictions(self.network(self.as_input(x)), top)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

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
        return (logits.double() / (self.metadata.temperature or 1.0)).softmax(1)

    def predictions(self, logits: Tensor, top: int = TOP) -> Said:
        """Name the best classes of each image; None where the network's answer is no number."""
        logits = logits.float().cpu()
        sound = logits.isfinite().all(1).tolist()
        places = ranked(logits, top)  # not the probabilities, of which rounding makes some equal
        rows = zip(sound, places.tolist(), self.chances(logits).gather(1, places).tolist(), strict=True)
        return [Prediction(tuple(map(self.guess, *row))) if is_sound else None for is_sound, *row in rows]

    def guess(self, place: int, chance: float) -> Guess:
        """Name a class by its number."""
        entry = self.entries[place]
        return Guess(entry.name, entry.id, chance)

    def _of_any(self, images: Tensor, top: int, precision: str) -> Said:
        x = images if images.is_floating_point() else preprocess(images, self.rule())
        return self.classify(x, top, precision)

    def _of_squares(self, squares: Tensor, top: int, precision: str) -> Said:
        return self.classify(normalized(squares.to(self.device), self.rule()), top, precision)


def load(path: Name) -> Model:
    """Read a model file; whatever is wrong with it is one sentence, and found first but for its digest."""
    stored = modelfile.load(checked("model", path, str | os.PathLike))
    return Model(stored.network, stored.metadata, stored.digest)


@contextlib.contextmanager
def evaluating(network: Network | Vgg) -> Iterator[None]:
    """Let a network judge, not learn; afterwards it is as it was."""
    mode = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(mode)


def _is_folder(name: Name) -> bool:
    return bool(os.fspath(name)) and Path(name).is_dir()  # an empty name is no folder, though Path says so


def _paths(images: Any) -> Iterable[Name] | None:
    """Return the paths that were given, or None where it was something else."""
    if isinstance(images, (str, os.PathLike)):
        return [images]
    if isinstance(images, (list, tuple)):
        return images if images and isinstance(images[0], (str, os.PathLike)) else None
    known = isinstance(images, (Tensor, bytes)) or hasattr(images, "__array_interface__")
    return None if known or not isinstance(images, Iterable) else images
