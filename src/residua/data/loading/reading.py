"""From places to 8-bit squares: gathered from a table of pictures, or read one by one, ahead."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.data.ahead import ahead
from residua.data.augmentation import Augmentation, crop_draws, flips, random_box
from residua.data.dataset import Data, Pixels
from residua.data.decoding import decode
from residua.data.loading.sampling import place_of
from residua.nets.transfer import onto
from residua.weights.metadata import Preprocessing
from residua.weights.preprocessing import squared

CHUNK = 8  # pictures that a thread reads in one go
Squares = Generator[Tensor]


def read_square(data: Data, place: int, rule: Preprocessing) -> Tensor:
    """Return a picture as the rule's 8-bit square (channels, size, size), as judging and prediction do."""
    return _squared(data.read(place, channels_read(rule), rule.resized), rule)


def decode_square(file: Path, name: str, rule: Preprocessing) -> Tensor:
    """Return a file's picture as the rule's square; a bad one raises `BadImageError` under this name."""
    return _squared(decode(file, name, channels_read(rule), rule.resized), rule)


@dataclass(frozen=True)
class Gathered:
    """Batches from a table of pictures, in memory, mapped, or held by the device."""

    table: NDArray[np.uint8] | Tensor  # (count, height, width, channels)
    origin: Tensor | None

    def squares(self, batches: Sequence[Tensor], epoch: int) -> Squares:  # noqa: ARG002 - as `Read` has it
        """Yield the pixels of each batch."""
        for rows in self._rows(batches):
            if isinstance(self.table, Tensor):
                found = self.table[rows]
            else:
                found = torch.from_numpy(self.table[rows.numpy()])
            yield found.permute(0, 3, 1, 2)

    def _rows(self, batches: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return each batch's rows of the table; a device gets those of all batches at once."""
        if not batches:
            return ()
        rows = place_of(torch.cat(list(batches)))
        rows = rows if self.origin is None else self.origin[rows]
        rows = onto(rows, self.table.device) if isinstance(self.table, Tensor) else rows
        return torch.split(rows, [len(samples) for samples in batches])


def gathered(data: Data, rule: Preprocessing, crops: bool, device: torch.device) -> Gathered | None:
    """Return the table of pictures that need no resizing one by one: they are squares, or cropped later.

    Where it fits the device holds it; pictures that are only cropped are worth gathering only there.
    """
    table = data.pictures.uniform
    if table is None or table.shape[3] != len(rule.mean):
        return None
    height, width = table.shape[1:3]
    square = (width, height) == rule.resized(width, height) == (rule.size, rule.size)
    origin = None if data.origin is None else torch.from_numpy(data.origin)
    if (square or crops) and table.nbytes <= _room(device):
        return Gathered(torch.from_numpy(table.copy()).to(device), origin)
    return Gathered(table, origin) if square else None


def _room(device: torch.device) -> int:
    """How many bytes of pictures a device may hold; as free memory varies, a share of all."""
    return torch.cuda.get_device_properties(device).total_memory // 8 if device.type == "cuda" else 0


@dataclass(frozen=True)
class Read:
    """Batches of pictures that are read one by one, by threads that work at most two batches ahead."""

    data: Data
    rule: Preprocessing
    augmentation: Augmentation  # of which the random crop and the flip are done here
    seed: int
    workers: int
    pinned: bool = False  # in memory that a GPU fetches from by itself

    @cached_property
    def _box_rule(self) -> Preprocessing:
        """Random crops are resized as `augment` does it, whatever judging does."""
        return replace(self.rule, rule="squash", interpolation="bilinear", antialias=True)

    def squares(self, batches: Sequence[Tensor], epoch: int) -> Squares:
        """Yield the squares of each batch."""
        if not batches:
            return
        window = 2 * -(-len(batches[0]) // CHUNK)
        with closing(ahead(self._fill, self._chunks(batches, epoch), self.workers, window)) as filled:
            for samples in batches:
                for _ in range(0, len(samples), CHUNK):
                    squares = next(filled)
                yield squares

    def _chunks(self, batches: Sequence[Tensor], epoch: int) -> Iterator[_Chunk]:
        """Divide each batch into pieces of work, with the draws of their pictures."""
        for samples in batches:
            shape = (len(samples), len(self.rule.mean), self.rule.size, self.rule.size)
            with torch.inference_mode(False):  # threads fill it, which the caller's mode does not reach
                squares = torch.empty(
                    shape, dtype=torch.uint8, memory_format=torch.channels_last, pin_memory=self.pinned
                )
                single = squares.unbind()
            draws: Sequence[Sequence[float] | None] = [None] * len(samples)
            if self.augmentation.boxes:
                draws = crop_draws(self.seed, epoch, samples).tolist()
            flip = flips(self.augmentation, self.seed, epoch, samples).tolist()
            works = list(zip(place_of(samples).tolist(), draws, flip, single, strict=True))
            for start in range(0, len(works), CHUNK):
                yield _Chunk(squares, works[start : start + CHUNK])

    def _fill(self, chunk: _Chunk) -> Tensor:
        """Read a chunk into its part of the batch."""
        for place, draws, flip, square in chunk.works:
            pixels = (
                read_square(self.data, place, self.rule) if draws is None else self._cropped(place, draws)
            )
            square.copy_(pixels.flip(2) if flip else pixels)
        return chunk.squares

    def _cropped(self, place: int, draws: Sequence[float]) -> Tensor:
        """Read a random box of a picture; a large photo is decoded as small as its box allows."""
        size, whole = self.rule.size, [0, 0]

        def needed(width: int, height: int) -> tuple[int, int]:
            whole[:] = width, height
            _, _, wide, high = random_box(self.augmentation, width, height, draws)
            return -(-width * size // wide), -(-height * size // high)

        pixels = self.data.read(place, channels_read(self.rule), needed)
        height, width, _ = pixels.shape
        across, down = whole if all(whole) else (width, height)  # the box is that of the photo in full
        left, top, wide, high = random_box(self.augmentation, across, down, draws)
        left, right = round(left * width / across), round((left + wide) * width / across)
        top, bottom = round(top * height / down), round((top + high) * height / down)
        return _squared(pixels[top:bottom, left:right], self._box_rule)


class _Chunk(NamedTuple):
    """A batch, and some of its pictures: place, draws of its crop, whether it is flipped, its square."""

    squares: Tensor
    works: Sequence[tuple[int, Sequence[float] | None, bool, Tensor]]


def _squared(pixels: Pixels, rule: Preprocessing) -> Tensor:
    # PyTorch warns of arrays that cannot be written, such as mapped ones.
    own = pixels if pixels.flags.writeable else pixels.copy()
    # The batch axis first: permuted the other way round it is no channels_last, and half as fast.
    batch = torch.from_numpy(own)[None].permute(0, 3, 1, 2)
    return squared(batch, rule)[0]


def channels_read(rule: Preprocessing) -> str:
    """Say with which channels a picture is read for a rule; what wants them in reverse turns them later."""
    return "rgb" if rule.channels == "bgr" else rule.channels
