"""A model: a network with its classes and preprocessing, ready to predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from residua.errors import UserError
from residua.nets.network import Network, Vgg
from residua.weights.metadata import ClassEntry, Metadata, Preprocessing
from residua.weights.preprocessing import preprocess

if TYPE_CHECKING:
    import numpy as np

BATCH = 32


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
class Model:
    """A network and everything that its file says of it."""

    network: Network | Vgg
    metadata: Metadata

    @property
    def classes(self) -> tuple[ClassEntry, ...] | None:
        """What its outputs are called; None if nobody said."""
        return self.metadata.classes

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What makes its input of a photo's pixels; None if nobody said."""
        return self.metadata.preprocessing

    def predict(self, images: Any, top: int = 5) -> Prediction | list[Prediction]:
        """Classify one image (three axes) or many (four, or a list of single ones).

        Whole numbers are pixels from 0 to 255 and get the model's preprocessing: arrays are (height, width,
        channels), tensors (channels, height, width). Floating numbers are taken as preprocessed already:
        (channels, height, width) for both.
        """
        single, batch = _one_or_many(images)
        mode = self.network.training
        self.network.eval()
        try:
            with torch.inference_mode():
                found = [guess for part in _parts(batch) for guess in self._predicted(part, top)]
        finally:
            self.network.train(mode)
        return found[0] if single else found

    def _predicted(self, images: Tensor, top: int) -> list[Prediction]:
        weight = next(self.network.parameters())
        x = images if images.is_floating_point() else self._preprocessed(images)
        x = x.to(weight.device, weight.dtype)
        if x.shape[1] != self.network.spec.in_channels:
            raise UserError(
                f"images have {x.shape[1]} channels, the network takes {self.network.spec.in_channels}."
            )
        scores = self.network(x).float() / (self.metadata.temperature or 1.0)
        chances, places = scores.softmax(1).topk(min(top, scores.shape[1]))
        return [self._named(c, p) for c, p in zip(chances.tolist(), places.tolist(), strict=True)]

    def _preprocessed(self, pixels: Tensor) -> Tensor:
        if self.preprocessing is None:
            raise UserError(
                "photos cannot be predicted: nobody said how this model's input was preprocessed."
            )
        if self.classes is None:
            raise UserError("photos cannot be predicted: nobody said what this model's classes are called.")
        return preprocess(pixels, self.preprocessing)

    def _named(self, chances: Sequence[float], places: Sequence[int]) -> Prediction:
        guesses = []
        for chance, place in zip(chances, places, strict=True):
            entry = self.classes[place] if self.classes else ClassEntry(id=str(place), name=str(place))
            guesses.append(Guess(entry.name, entry.id, chance))
        return Prediction(guesses[0].label, guesses[0].id, guesses[0].probability, tuple(guesses))


def _one_or_many(images: Any) -> tuple[bool, list[Tensor]]:
    if isinstance(images, (list, tuple)):
        return False, [tensor for image in images for tensor in _one_or_many(image)[1]]
    tensor = _tensor(images)
    if tensor.dim() not in (3, 4):
        raise UserError(f"expected an image of 3 axes or a batch of 4, not {tensor.dim()}.")
    return tensor.dim() == 3, [tensor] if tensor.dim() == 3 else list(tensor)


def _tensor(image: Any) -> Tensor:
    if isinstance(image, Tensor):
        return _known(image)
    if not hasattr(image, "__array_interface__"):
        raise UserError(f"expected a tensor or an array, not a {type(image).__name__}.")
    array: np.ndarray[Any, Any] = image
    tensor = _known(torch.as_tensor(array))
    return tensor if tensor.is_floating_point() else tensor.movedim(-1, -3)


def _known(tensor: Tensor) -> Tensor:
    if tensor.dtype != torch.uint8 and not tensor.is_floating_point():
        raise UserError(f"expected 8-bit pixels or floating numbers, not {str(tensor.dtype)[6:]}.")
    return tensor


def _parts(images: list[Tensor]) -> list[Tensor]:
    """Batches of images that have one shape and type, in order."""
    parts: list[list[Tensor]] = []
    for image in images:
        last = parts[-1] if parts else None
        if last and len(last) < BATCH and (last[0].shape, last[0].dtype) == (image.shape, image.dtype):
            last.append(image)
        else:
            parts.append([image])
    return [torch.stack(part) for part in parts]
