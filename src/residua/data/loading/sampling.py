"""Which pictures an epoch has, and in what order.

A sample is a picture's turn: its place, and in the upper half how often it was drawn before. So a picture
that comes twice in an epoch is augmented in two ways.
"""

from __future__ import annotations

import torch
from torch import Tensor

from residua.data.draws import order, uniform

TURN = 2**32


def place_of(samples: Tensor) -> Tensor:
    """Return the places of samples."""
    return samples % TURN


def shuffled(seed: int, epoch: int, places: Tensor) -> Tensor:
    """Return every place once."""
    return places[order(seed, epoch, len(places))]


def balanced(seed: int, epoch: int, places: Tensor, labels: Tensor) -> Tensor:
    """Return samples of which every class has the same number, about as many in all as there are places.

    From epoch to epoch a class goes round its pictures, in another order each time: none is forgotten.
    """
    counts = [count for count in labels.bincount().tolist() if count]
    share = len(places) // max(1, len(counts))
    classes = torch.split(places[labels.argsort(stable=True)], counts)
    samples = torch.cat([places[:0], *(_drawn(seed, epoch * share, share, each) for each in classes)])
    return shuffled(seed, epoch, samples)


def _drawn(seed: int, start: int, count: int, places: Tensor) -> Tensor:
    """Return some of the endless row of all places in a random order, in another, and so on."""
    first, last = start // len(places), (start + count - 1) // len(places)
    samples = torch.arange(first, last + 1)[:, None] * TURN + places
    draws = uniform(seed, 0, samples.flatten(), "balanced", 1).view(samples.shape)
    row = samples.gather(1, draws.argsort(stable=True)).flatten()
    return row[start - first * len(places) :][:count]
