"""RandAugment: a few operations for each picture, chosen evenly from fourteen, all of one strength.

Strengths are those of the paper at magnitudes from 0 to 10, growing with the magnitude for every operation.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from residua.data.augmentation import colour
from residua.data.augmentation.picking import affine
from residua.nets.transfer import onto

STRONGEST = 10
Operation = Callable[[Tensor, Tensor, Tensor], Tensor]  # pixels, levels from -1 to 1, fill


def randaugment(
    pixels: Tensor, draw: Callable[[str, int], Tensor], number: int, magnitude: float, fill: Tensor
) -> Tensor:
    """Apply `number` operations to each picture; each picture draws its own, and their directions."""
    choices = (draw("operation", number) * len(OPERATIONS)).long().cpu()
    directions = onto(torch.where(draw("direction", number) < 0.5, -1.0, 1.0), pixels.device)
    for turn in range(number):
        pixels = _one_each(pixels, choices[:, turn], directions[:, turn] * (magnitude / STRONGEST), fill)
    return pixels


def _one_each(pixels: Tensor, choices: Tensor, levels: Tensor, fill: Tensor) -> Tensor:
    """Apply one operation to each picture, those of one operation together."""
    result = pixels.clone()
    for place, operation in enumerate(OPERATIONS.values()):
        chosen = onto((choices == place).nonzero()[:, 0], pixels.device)
        if len(chosen):
            result[chosen] = operation(pixels[chosen], levels[chosen], fill)
    return result


def _colours(change: Callable[[Tensor, Tensor], Tensor]) -> Operation:
    return lambda pixels, levels, _: colour.keeping_alpha(change, pixels, levels)


def _movement(matrices: Callable[[Tensor, int, int], Tensor]) -> Operation:
    return lambda pixels, levels, fill: affine(pixels, matrices(levels, *pixels.shape[2:]), fill)


def _identity_but(row: int, column: int, values: Tensor) -> Tensor:
    matrices = torch.eye(2, 3, device=values.device).repeat(len(values), 1, 1)
    matrices[:, row, column] = values
    return matrices


def _rotation(angles: Tensor) -> Tensor:
    cosine, sine, none = angles.cos(), angles.sin(), torch.zeros_like(angles)
    return torch.stack([cosine, -sine, none, sine, cosine, none], 1).view(-1, 2, 3)


OPERATIONS: dict[str, Operation] = {
    "identity": lambda pixels, _levels, _fill: pixels,
    "shear_x": _movement(lambda levels, _height, _width: _identity_but(0, 1, 0.3 * levels)),
    "shear_y": _movement(lambda levels, _height, _width: _identity_but(1, 0, 0.3 * levels)),
    "translate_x": _movement(lambda levels, _height, width: _identity_but(0, 2, 0.45 * width * levels)),
    "translate_y": _movement(lambda levels, height, _width: _identity_but(1, 2, 0.45 * height * levels)),
    "rotate": _movement(lambda levels, _height, _width: _rotation(math.radians(30) * levels)),
    "brightness": _colours(lambda pixels, levels: colour.brightness(pixels, 1 + 0.9 * levels)),
    "contrast": _colours(lambda pixels, levels: colour.contrast(pixels, 1 + 0.9 * levels)),
    "colour": _colours(lambda pixels, levels: colour.saturation(pixels, 1 + 0.9 * levels)),
    "sharpness": _colours(lambda pixels, levels: colour.sharpness(pixels, 1 + 0.9 * levels)),
    "posterize": _colours(lambda pixels, levels: colour.posterize(pixels, 8 - (4 * levels.abs()).round())),
    "solarize": _colours(lambda pixels, levels: colour.solarize(pixels, 256 - 256 * levels.abs())),
    "autocontrast": _colours(lambda pixels, _levels: colour.autocontrast(pixels)),
    "equalize": _colours(lambda pixels, _levels: colour.equalize(pixels)),
}
