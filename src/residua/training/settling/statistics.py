"""Mean and deviation of a data set's colours, from a sample of its training pictures."""

from __future__ import annotations

import numpy as np

from residua.data.dataset import Data, Places
from residua.data.draws import order

SAMPLE = 500  # pictures: the mean is then good to a hundredth
SIDE = 64  # of photos, about: colours need no detail
Colours = tuple[float, ...]


def colours(data: Data, places: Places, channels: str, seed: int) -> tuple[Colours, Colours]:
    """Return mean and deviation of each channel, of values from 0 to 1."""
    drawn = places[order(seed, 0, len(places))[:SAMPLE].sort().values.numpy()]
    sums = []
    for place in drawn.tolist():
        values = data.read(place, channels, lambda width, height: (min(width, SIDE), min(height, SIDE))) / 255
        sums.append((values.mean((0, 1)), (values**2).mean((0, 1))))
    mean, square = np.mean(sums, axis=0)
    deviation = np.sqrt(np.maximum(square - mean**2, 1e-4))  # of one colour, hardly any
    return _rounded(mean), _rounded(deviation)


def _rounded(values: np.ndarray) -> Colours:
    return tuple(round(float(value), 4) for value in values)
