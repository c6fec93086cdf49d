"""Crops and flips: the random box of a picture, pictures cropped to boxes, shifted and flipped."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from residua.data.augmentation.description import Augmentation
from residua.data.augmentation.picking import picked
from residua.data.draws import uniform
from residua.nets.transfer import onto

Size = tuple[int, int]  # height, width
Box = tuple[int, int, int, int]  # left, top, width, height
TRIES = 10


def crop_draws(seed: int, epoch: int, samples: Tensor) -> Tensor:
    """Return for each sample the row of draws that `random_box` takes."""
    return uniform(seed, epoch, samples, "resized crop", 2 * TRIES + 2)


def random_box(augmentation: Augmentation, width: int, height: int, draws: Sequence[float]) -> Box:
    """Return the box of a picture that the augmentation resizes, from one sample's row of `crop_draws`."""
    if augmentation.scaled_crop:
        return scaled_box(width, height, draws, augmentation.scaled_crop)
    return crop_box(width, height, draws, augmentation.resized_crop or (1, 1), augmentation.ratio or (1, 1))


def scaled_box(width: int, height: int, draws: Sequence[float], scale: Sequence[float]) -> Box:
    """Return the square that a crop of a resized picture shows: the papers' rule, before any resizing."""
    side = max(1, round(min(width, height) / (scale[0] + draws[0] * (scale[1] - scale[0]))))
    return int(draws[-2] * (width - side + 1)), int(draws[-1] * (height - side + 1)), side, side


def crop_box(
    width: int, height: int, draws: Sequence[float], scale: Sequence[float], ratio: Sequence[float]
) -> Box:
    """Return the random box of a picture: torchvision's rule, from one sample's row of `crop_draws`.

    The first of ten random sizes that fits is taken; else the largest central box of an allowed ratio.
    """
    least, most = math.log(ratio[0]), math.log(ratio[1])
    for area_draw, ratio_draw in zip(draws[0 : 2 * TRIES : 2], draws[1 : 2 * TRIES : 2], strict=True):
        area = width * height * (scale[0] + area_draw * (scale[1] - scale[0]))
        shape = math.exp(least + ratio_draw * (most - least))
        wide, high = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < wide <= width and 0 < high <= height:
            left = int(draws[-2] * (width - wide + 1))
            top = int(draws[-1] * (height - high + 1))
            return left, top, wide, high
    wide = max(1, min(width, round(height * ratio[1])))
    high = max(1, min(height, round(width / ratio[0])))
    return (width - wide) // 2, (height - high) // 2, wide, high


def flips(augmentation: Augmentation, seed: int, epoch: int, samples: Tensor) -> Tensor:
    """Return which samples are flipped; "alternating" ones every other epoch, half of them from the first."""
    if augmentation.flip == "none":
        return torch.zeros_like(samples, dtype=torch.bool)
    alternating = augmentation.flip == "alternating"
    heads = uniform(seed, 0 if alternating else epoch, samples, "flip", 1)[:, 0] < 0.5
    return heads ^ bool(alternating and epoch % 2)


def shifted(pixels: Tensor, offsets: Tensor, flip: Tensor, size: Size, fill: Tensor, reflect: bool) -> Tensor:
    """Cut windows of one size from an unbounded plane, at (top, left) for each picture; then flip some."""
    steps = torch.arange(max(size), device=pixels.device)
    rows, columns = (offsets[:, axis, None] + steps[: size[axis]] for axis in (0, 1))
    columns = torch.where(flip[:, None], columns.flip(1), columns)
    if reflect:
        rows, columns = _reflected(rows, pixels.shape[2]), _reflected(columns, pixels.shape[3])
    return picked(pixels, rows[:, :, None], columns[:, None, :], fill)


def _reflected(places: Tensor, length: int) -> Tensor:
    """Mirror what lies outside at the first and last pixel, which stand once."""
    return (length - 1) - ((length - 1) - places.abs()).abs()


def resized(pixels: Tensor, boxes: Sequence[Box], flip: Tensor, size: Size) -> Tensor:
    """Resize each picture's box to one size, bilinear with antialiasing; then flip some."""
    if pixels.device.type != "cpu":
        return resized_together(pixels, onto(torch.tensor(boxes), pixels.device), flip, size)
    results = pixels.new_empty((*pixels.shape[:2], *size))
    for one, result, (left, top, width, height), mirrored in zip(
        pixels, results, boxes, flip.tolist(), strict=True
    ):
        box = one[None, :, top : top + height, left : left + width]
        new = F.interpolate(box, size, mode="bilinear", antialias=True)[0]
        result.copy_(new.flip(2) if mirrored else new)
    return results


def resized_together(pixels: Tensor, boxes: Tensor, flip: Tensor, size: Size) -> Tensor:
    """Resize by two products of matrices: more arithmetic, and no loop, which suits accelerators."""
    left, top, width, height = boxes.unbind(1)
    across = _weights(left, width, size[1], pixels.shape[3])
    across = torch.where(flip[:, None, None], across.flip(1), across)
    down = _weights(top, height, size[0], pixels.shape[2])
    result = down[:, None] @ pixels.float() @ across[:, None].mT
    return result.round_().clamp_(0, 255).to(torch.uint8)


def _weights(start: Tensor, extent: Tensor, size: int, length: int) -> Tensor:
    """How much each of `length` pixels weighs in each of `size`: a triangle about its centre, in the box."""
    scale = extent / size
    centres = start[:, None] + (torch.arange(size, device=start.device) + 0.5) * scale[:, None]
    places = torch.arange(length, device=start.device)
    distance = (places + 0.5 - centres[..., None]).abs() / scale.clamp(min=1)[:, None, None]
    inside = (places >= start[:, None]) & (places < (start + extent)[:, None])
    weights = (1 - distance).clamp(min=0) * inside[:, None]
    return weights / weights.sum(2, keepdim=True)
