"""Pictures that can no longer be read while a network judges: noted, while the others go on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from residua.data.dataset import Data, Needed, Pictures, Pixels
from residua.data.facts import BadImageError, Facts

CHANNELS = {"gray": 1, "rgb": 3, "rgba": 4}


@dataclass(frozen=True)
class Forgiving:
    """Pictures; in the place of one that cannot be read a black one is shown, whose answers mean nothing."""

    pictures: Pictures
    reasons: dict[int, str] = field(default_factory=dict)  # of what could not be read, by its place

    @property
    def uniform(self) -> NDArray[np.uint8] | None:
        """All pictures as one array."""
        return self.pictures.uniform

    def read(self, place: int, channels: str = "rgb", needed: Needed | None = None) -> Pixels:
        """Return a picture's pixels."""
        try:
            return self.pictures.read(place, channels, needed)
        except BadImageError as error:
            self.reasons.setdefault(place, error.reason)
            return np.zeros((1, 1, CHANNELS[channels]), np.uint8)

    def examine(self, place: int) -> Facts:
        """Decode a picture wholly and say what it is."""
        return self.pictures.examine(place)

    def lost(self, data: Data) -> dict[int, str]:
        """Return why pictures of data could not be read, by their places in it."""
        if not self.reasons:
            return {}
        known = ((place, self.reasons.get(data.at(place))) for place in range(len(data)))
        return {place: reason for place, reason in known if reason is not None}


def forgiving(data: Data) -> tuple[Data, Forgiving]:
    """Return the data so that no picture ends its reading, and the notes of those that would have."""
    notes = Forgiving(data.pictures)
    return replace(data, pictures=notes), notes
