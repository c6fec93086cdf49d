"""Mixup and CutMix: pictures of a batch mixed with each other, and their labels in the same shares.

How a picture is mixed depends on its seed, epoch and sample alone. Its partner is one of the batch, so it
depends on which samples the batch holds, though not on their order in it.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from residua.data.augmentation.description import Augmentation
from residua.data.augmentation.picking import rectangles
from residua.data.draws import uniform
from residua.nets.transfer import constant, onto


def mix(
    inputs: Tensor, targets: Tensor, samples: Tensor, augmentation: Augmentation, seed: int, epoch: int
) -> tuple[Tensor, Tensor]:
    """Mix pictures (count, channels, height, width), uint8 or float, and their targets (count, classes).

    Targets say each class's share, one-hot or smoothed; the mixed ones add up to the same.
    """
    if not augmentation.mixes:
        return inputs, targets
    draws = uniform(seed, epoch, samples, "mix", 5).cpu()  # not every device has the float64 that follows
    size = (inputs.shape[2], inputs.shape[3])
    weights, shares = _weights(draws[:, 1:], augmentation, size, inputs.device)
    partners = onto(_partners(draws[:, 0], samples.cpu()), inputs.device)
    mixed = torch.lerp(inputs[partners].float(), inputs.float(), weights)
    if not inputs.is_floating_point():
        mixed.round_()
    return mixed.to(inputs.dtype), torch.lerp(targets[partners], targets, shares[:, None].to(targets.dtype))


def _partners(draws: Tensor, samples: Tensor) -> Tensor:
    """Put the batch in a random circle; each one's partner is the next, so all are partners once."""
    known = samples.argsort()  # equal draws stand in the samples' order, not in the batch's
    circle = known[draws[known].argsort(stable=True)]
    return torch.empty_like(circle).scatter_(0, circle, circle.roll(-1))


def _weights(
    draws: Tensor, augmentation: Augmentation, size: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return how much of each pixel (count, 1, height, width) and of each label is the picture's own."""
    kinds = []
    if augmentation.mixup:
        shares = onto(_beta(draws[:, 1], augmentation.mixup), device)
        kinds.append((shares[:, None, None, None], shares))
    if augmentation.cutmix:
        shares = onto(_beta(draws[:, 1], augmentation.cutmix), device)
        cut = _cut(shares, onto(draws[:, 2:], device), size)
        kinds.append(((~cut).float(), 1 - cut.float().mean((1, 2, 3))))
    first = onto(draws[:, 0] < 0.5, device)
    weights = torch.where(first[:, None, None, None], kinds[0][0], kinds[-1][0])
    return weights, torch.where(first, kinds[0][1], kinds[-1][1])


def _cut(shares: Tensor, centres: Tensor, size: tuple[int, int]) -> Tensor:
    """Rectangles that leave `shares` of the pictures, but for what lies outside: centres are anywhere."""
    whole = constant(size, torch.int64, shares.device)
    extents = ((1 - shares).sqrt()[:, None] * whole).floor()
    corners = (centres * whole).floor() - (extents / 2).floor()
    return rectangles(corners, extents, size)


def _beta(draws: Tensor, alpha: float) -> Tensor:
    """Turn even draws into draws of the symmetric beta distribution."""
    places, below = _beta_table(alpha)
    draws = draws.double()
    right = torch.searchsorted(below, draws, right=True).clamp_(1, len(below) - 1)
    low, high = below[right - 1], below[right]
    between = torch.lerp(places[right - 1], places[right], (draws - low) / (high - low))
    return between.sigmoid().float()


@functools.lru_cache(maxsize=8)
def _beta_table(alpha: float) -> tuple[Tensor, Tensor]:
    """Logits and the probability below each: smooth where shares pile up at 0 and 1."""
    reach = 20 / alpha + 20  # beyond it is less than a draw can tell
    places = torch.linspace(-reach, reach, 4097, dtype=torch.float64)
    density = (alpha * (F.logsigmoid(places) + F.logsigmoid(-places) + 2 * math.log(2))).exp()
    below = torch.cat([density.new_zeros(1), torch.cumulative_trapezoid(density)])
    return places, below / below[-1]
