"""The whole augmentation of a batch, one step after the other."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from residua.data.augmentation import colour
from residua.data.augmentation.cropping import Size, crop_draws, flips, random_box, resized, shifted
from residua.data.augmentation.description import Augmentation
from residua.data.augmentation.picking import rectangles
from residua.data.augmentation.randaugment import randaugment
from residua.data.draws import uniform
from residua.errors import UserError
from residua.nets.transfer import constant, onto

Draw = Callable[[str, int], Tensor]  # from a stream and a count to draws (samples, count)
ERASED_AREA = (0.02, 1 / 3)  # share of the picture, as in the paper
ERASED_RATIO = (0.3, 1 / 0.3)  # height to width


def augment(
    pixels: Tensor,
    samples: Tensor,
    augmentation: Augmentation,
    seed: int,
    epoch: int,
    fill: Sequence[int],
    size: Size | None = None,
) -> Tensor:
    """Augment uint8 pictures (count, channels, height, width): gray, RGB or RGBA, on any device.

    What happens to a picture depends on the seed, the epoch and its sample (int64) alone, whatever else is
    in the batch. `fill` is the mean colour; `size` is the height and width that a crop makes, by default the
    pictures' own. Keep the samples on the CPU where the pixels are elsewhere: then nothing waits for them.
    """
    mean = constant(tuple(fill), torch.uint8, pixels.device)
    draw = functools.partial(uniform, seed, epoch, samples)
    if augmentation.boxes or augmentation.crop_padding or augmentation.flip != "none":
        flip = onto(flips(augmentation, seed, epoch, samples), pixels.device)
        if augmentation.boxes:
            pixels = _resized(pixels, crop_draws(seed, epoch, samples), augmentation, flip, size)
        else:
            pixels = _shifted(pixels, draw("crop", 2), augmentation, flip, mean, size)
    if augmentation.randaugment:
        pixels = randaugment(pixels, draw, augmentation.randaugment, augmentation.magnitude or 0.0, mean)
    pixels = _jittered(pixels, draw, augmentation)
    return _erased(pixels, draw, augmentation.erasing, mean) if augmentation.erasing else pixels


def _resized(pixels: Tensor, draws: Tensor, a: Augmentation, flip: Tensor, size: Size | None) -> Tensor:
    height, width = pixels.shape[2:]
    boxes = [random_box(a, width, height, row) for row in draws.tolist()]
    return resized(pixels, boxes, flip, size or (height, width))


def _shifted(
    pixels: Tensor, draws: Tensor, a: Augmentation, flip: Tensor, mean: Tensor, size: Size | None
) -> Tensor:
    own = torch.tensor(pixels.shape[2:])
    crop = torch.tensor(size) if size and a.crop_padding else own
    room = own + 2 * a.crop_padding - crop
    reflect = a.padding == "reflect"
    if room.min() < 0 or (reflect and own.min() <= a.crop_padding):
        raise UserError(
            f"pictures of {own[1]}x{own[0]} pixels, padded by {a.crop_padding}, cannot be cropped to "
            f"{crop[1]}x{crop[0]} with padding {a.padding!r}: choose another crop_padding."
        )
    offsets = (draws * (room + 1).to(draws.device)).long() - a.crop_padding
    fill = torch.zeros_like(mean) if a.padding == "zero" else mean
    height, width = crop.tolist()
    return shifted(pixels, onto(offsets, pixels.device), flip, (height, width), fill, reflect)


def _jittered(pixels: Tensor, draw: Draw, a: Augmentation) -> Tensor:
    changes = ((colour.brightness, a.brightness), (colour.contrast, a.contrast))
    for change, strength in (*changes, (colour.saturation, a.saturation), (colour.hue, a.hue)):
        if strength:
            amounts = strength * (2 * draw(change.__name__, 1)[:, 0] - 1)
            amounts = amounts if change is colour.hue else 1 + amounts
            pixels = colour.keeping_alpha(change, pixels, onto(amounts, pixels.device))
    if a.lighting:
        amounts = a.lighting * torch.special.ndtri(draw("lighting", 3).clamp(min=2**-25))
        pixels = colour.keeping_alpha(colour.lighting, pixels, onto(amounts, pixels.device))
    return pixels


def _erased(pixels: Tensor, draw: Draw, probability: float, mean: Tensor) -> Tensor:
    """Fill a rectangle of some pictures: as a rule wholly inside, of an even share of the area."""
    hit, area, ratio, *place = onto(draw("erasing", 5), pixels.device).unbind(1)
    size = constant(tuple(pixels.shape[2:]), torch.int64, pixels.device)
    least, most = map(math.log, ERASED_RATIO)
    pixel_count = (ERASED_AREA[0] + area * (ERASED_AREA[1] - ERASED_AREA[0])) * size.prod()
    height = (pixel_count * (least + ratio * (most - least)).exp()).sqrt().clamp(max=size[0])
    width = (pixel_count / height).clamp(max=size[1])
    extents = torch.stack([height, width], 1).round().clamp(min=1)
    corners = (torch.stack(place, 1) * (size - extents + 1)).floor()
    inside = rectangles(corners, extents, (pixels.shape[2], pixels.shape[3]))
    return torch.where(inside & (hit < probability)[:, None, None, None], mean[:, None, None], pixels)
