"""Random choices as functions of the seed: the same on every machine, whatever was drawn before."""

from __future__ import annotations

import math
from itertools import combinations

import torch

from residua.data.draws import uniform


def sequences(seed: int, purpose: str, among: int, count: int, draws: int) -> list[tuple[int, ...]]:
    """Draw `count` different numbers below `among` in random order, as often as `draws` says."""
    order = uniform(seed, count, torch.arange(draws), purpose, among).argsort(dim=1, stable=True)
    return [tuple(row) for row in order[:, :count].tolist()]


def subsets(seed: int, purpose: str, among: int, count: int, draws: int) -> list[tuple[int, ...]]:
    """Draw `count` different numbers below `among`, in their order; all choices where there are no more."""
    if math.comb(among, count) <= draws:
        return list(combinations(range(among), count))
    return [tuple(sorted(row)) for row in sequences(seed, purpose, among, count, draws)]
