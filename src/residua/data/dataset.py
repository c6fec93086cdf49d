"""Labelled pictures: what there is, which class and part each belongs to, and where its pixels come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from residua.errors import unknown

if TYPE_CHECKING:
    from residua.data.facts import Facts

Pixels = NDArray[np.uint8]  # (height, width, channels)
Places = NDArray[np.int64]  # which pictures, counted from 0
Needed = Callable[
    [int, int], tuple[int, int]
]  # from a picture's width and height to the smallest that will do

PARTS = ("train", "val", "test")
UNSPLIT = -1


class Pictures(Protocol):
    """Where the pixels are: files, or arrays in memory or mapped from a file. A place names a picture."""

    @property
    def uniform(self) -> NDArray[np.uint8] | None:
        """All pictures as one array (count, height, width, channels), where they have one size."""

    def read(self, place: int, channels: str = "rgb", needed: Needed | None = None) -> Pixels:
        """Return a whole picture: upright, 8 bits, with these channels ("rgb", "gray" or "rgba").

        A reader may return a smaller version of a large photo where `needed` says how small it may be.
        """

    def examine(self, place: int) -> Facts:
        """Decode a picture wholly and say what it is; a bad one raises `BadImageError`."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something in a folder that is no picture of the data, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Data:
    """Labelled pictures. Nothing is read until it is asked for."""

    where: str  # as the user named it
    kind: str  # folder, splits, csv, cifar, digits or packed
    classes: tuple[str, ...]
    names: Sequence[str]  # unique; for files the path relative to the data's folder, with forward slashes
    labels: NDArray[np.int32]
    parts: NDArray[np.int8]  # place in PARTS, or UNSPLIT
    pictures: Pictures
    groups: Sequence[str] | None = None  # pictures of one group never part; "" is no group
    skipped: tuple[Skipped, ...] = ()
    origin: NDArray[np.int64] | None = None  # each picture's place in `pictures`, where some are left out

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.names)

    def places(self, part: str) -> Places:
        """Return the pictures of "train", "val" or "test"."""
        if part not in PARTS:
            raise unknown("part", part, PARTS)
        return np.flatnonzero(self.parts == PARTS.index(part))

    def at(self, place: int) -> int:
        """Return a picture's place in `pictures`."""
        return place if self.origin is None else int(self.origin[place])

    def read(self, place: int, channels: str = "rgb", needed: Needed | None = None) -> Pixels:
        """Return a picture's pixels, as `Pictures.read` does."""
        return self.pictures.read(self.at(place), channels, needed)

    def examine(self, place: int) -> Facts:
        """Decode a picture wholly and say what it is."""
        return self.pictures.examine(self.at(place))

    def keep(self, places: Places) -> Data:
        """Return the same data with these pictures only."""
        origin = places if self.origin is None else self.origin[places]
        return replace(
            self,
            names=[self.names[place] for place in places],
            labels=self.labels[places],
            parts=self.parts[places],
            groups=None if self.groups is None else [self.groups[place] for place in places],
            origin=origin,
        )
