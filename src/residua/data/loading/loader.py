"""Loading: batches for a network, every picture once an epoch, in an order that the seed decides."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from residua.data.ahead import processors
from residua.data.augmentation import Augmentation, augment
from residua.data.dataset import Data, Places
from residua.data.loading.reading import Gathered, Read, gathered
from residua.data.loading.sampling import balanced, place_of, shuffled
from residua.nets.transfer import onto
from residua.nets.values import at_least, within
from residua.weights.metadata import Preprocessing
from residua.weights.preprocessing import normalized


@dataclass(frozen=True)
class Batch:
    """Pictures as 8-bit squares (count, channels, size, size), augmented, and what is known of them."""

    pixels: Tensor
    labels: Tensor
    samples: Tensor  # what chance is drawn by: places, and turns of those that come more often
    rule: Preprocessing

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.samples)

    @property
    def places(self) -> Tensor:
        """The pictures' places, on the CPU whatever the device."""
        return place_of(self.samples)

    def inputs(self) -> Tensor:
        """Return the network's input."""
        return normalized(self.pixels, self.rule)


class Loader:
    """Batches of some places of the data, the same whatever the number of workers.

    A shuffled epoch has every picture once, a balanced one every class as often, both in random order.
    Squares in memory are gathered, a batch at once. Other pictures are read one by one, ahead, by `workers`
    threads (None: one for each processor; 0: none).
    """

    def __init__(
        self,
        data: Data,
        places: Places,
        rule: Preprocessing,
        batch: int,
        *,
        seed: int = 0,
        shuffle: bool = False,
        balanced: bool = False,
        augmentation: Augmentation | None = None,
        workers: int | None = None,
        device: torch.device | str = "cpu",
        drop_last: bool = False,
    ) -> None:
        at_least("batch", batch, 1)
        self.rule, self.batch, self.seed, self.shuffle, self.drop_last = rule, batch, seed, shuffle, drop_last
        self.balanced, self.device = balanced, torch.device(device)
        self._places = torch.from_numpy(np.array(places, np.int64))
        self._labels = torch.from_numpy(data.labels.astype(np.int64))
        self._place_labels = self._labels[self._places]
        self._classes = int(self._place_labels.bincount().count_nonzero())
        self._left = augmentation = augmentation or Augmentation()
        self._source: Gathered | Read
        table = gathered(data, rule, augmentation.boxes, self.device)
        if table is not None:
            self._source = table
            return
        if augmentation.crop_padding:
            first = Augmentation()
        else:  # single pictures are cropped and flipped at once
            first, self._left = (
                augmentation,
                augmentation.edit(resized_crop=None, scaled_crop=None, flip="none"),
            )
        workers = processors() if workers is None else workers
        self._source = Read(data, rule, first, seed, workers, pinned=self.device.type == "cuda")

    def __len__(self) -> int:
        """How many batches an epoch has."""
        count = len(self._places)
        if self.balanced:
            count -= count % max(1, self._classes)
        whole, rest = divmod(count, self.batch)
        return whole + (rest > 0 and not self.drop_last)

    def epoch(self, number: int, start: int = 0) -> Generator[Batch]:
        """Yield the batches of an epoch from the one that `start` counts; those before it are not read."""
        within("start", start, 0, len(self), closed=True)
        chosen = slice(start, len(self))
        samples = self._samples(number)
        batches = torch.split(samples, self.batch)[chosen]
        known = onto(self._labels[place_of(samples)], self.device)
        labels = torch.split(known, self.batch)[chosen]
        fill, size = _mean_colour(self.rule), (self.rule.size, self.rule.size)
        with closing(self._source.squares(batches, number)) as squares:
            for each, own_labels, pixels in zip(batches, labels, squares, strict=True):
                pixels = onto(pixels, self.device)
                pixels = augment(pixels, each, self._left, self.seed, number, fill, size)
                pixels = pixels.contiguous(memory_format=torch.channels_last)
                yield Batch(pixels, own_labels, each, self.rule)

    def _samples(self, epoch: int) -> Tensor:
        if self.balanced:
            return balanced(self.seed, epoch, self._places, self._place_labels)
        return shuffled(self.seed, epoch, self._places) if self.shuffle else self._places


def _mean_colour(rule: Preprocessing) -> list[int]:
    mean = rule.mean[::-1] if rule.channels == "bgr" else rule.mean
    return [min(255, max(0, round(value / rule.scale))) for value in mean]
