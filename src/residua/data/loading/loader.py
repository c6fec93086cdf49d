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
from residua.data.draws import order
from residua.data.loading.reading import Gathered, Read, gathered
from residua.data.loading.reading import read_square as read_square
from residua.nets.values import at_least, within
from residua.weights.metadata import Preprocessing
from residua.weights.preprocessing import normalized


@dataclass(frozen=True)
class Batch:
    """Pictures as 8-bit squares (count, channels, size, size), augmented, and what is known of them."""

    pixels: Tensor
    labels: Tensor
    places: Tensor  # on the CPU, whatever the device
    rule: Preprocessing

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.places)

    def inputs(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the network's input."""
        return normalized(self.pixels, self.rule, dtype)


class Loader:
    """Batches of some places of the data, the same whatever the number of workers.

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
        augmentation: Augmentation | None = None,
        workers: int | None = None,
        device: torch.device | str = "cpu",
        drop_last: bool = False,
    ) -> None:
        at_least("batch", batch, 1)
        self.rule, self.batch, self.seed, self.shuffle, self.drop_last = rule, batch, seed, shuffle, drop_last
        self.device = torch.device(device)
        self._places = torch.from_numpy(np.array(places, np.int64))
        self._labels = torch.from_numpy(data.labels.astype(np.int64)).to(self.device)
        self._left = augmentation = augmentation or Augmentation()
        self._source: Gathered | Read
        table = gathered(data, rule, augmentation.resized_crop is not None, self.device)
        if table is not None:
            self._source = table
            return
        if augmentation.crop_padding:
            first = Augmentation()
        else:  # single pictures are cropped and flipped at once
            first, self._left = augmentation, augmentation.edit(resized_crop=None, flip="none")
        self._source = Read(data, rule, first, seed, processors() if workers is None else workers)

    def __len__(self) -> int:
        """How many batches an epoch has."""
        whole, rest = divmod(len(self._places), self.batch)
        return whole + (rest > 0 and not self.drop_last)

    def epoch(self, number: int, start: int = 0) -> Generator[Batch]:
        """Yield the batches of an epoch from the one that `start` counts; those before it are not read."""
        within("start", start, 0, len(self), closed=True)
        places = self._places
        if self.shuffle:
            places = places[order(self.seed, number, len(places))]
        batches = torch.split(places, self.batch)[start : len(self)]
        fill, size = _mean_colour(self.rule), (self.rule.size, self.rule.size)
        with closing(self._source.squares(batches, number)) as squares:
            for each, pixels in zip(batches, squares, strict=True):
                pixels = pixels.to(self.device, non_blocking=True)
                pixels = augment(pixels, each, self._left, self.seed, number, fill, size)
                pixels = pixels.contiguous(memory_format=torch.channels_last)
                yield Batch(pixels, self._labels[each.to(self.device)], each, self.rule)


def _mean_colour(rule: Preprocessing) -> list[int]:
    mean = rule.mean[::-1] if rule.channels == "bgr" else rule.mean
    return [min(255, max(0, round(value / rule.scale))) for value in mean]
