"""The preprocessing contract, carried out: from pixels to a network's input, the same way everywhere."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from residua.errors import UserError
from residua.nets.transfer import onto
from residua.weights.metadata import Preprocessing

LONGEST = 8  # times the short side


def preprocess(pixels: Tensor, rule: Preprocessing) -> Tensor:
    """Turn a batch of 8-bit pixels (N, channels, height, width) into a network's input."""
    return normalized(squared(pixels, rule), rule)


def squared(pixels: Tensor, rule: Preprocessing) -> Tensor:
    """Bring a batch of 8-bit pixels to the rule's square, still in 8 bits."""
    if pixels.shape[1] != len(rule.mean):
        raise UserError(f"images have {pixels.shape[1]} channels, this model takes {rule.channels}.")
    x = pixels.cpu()  # 8-bit resizing, as Pillow does it, is the CPU's
    if rule.rule == "crop":
        x = _middle(x)
    width, height = rule.resized(x.shape[3], x.shape[2])
    x = _resized(x, height, width, rule)
    if rule.rule != "crop":
        return _filled(x, rule)
    left, top = (round((side - rule.size) / 2) for side in (width, height))
    return x[:, :, top : top + rule.size, left : left + rule.size]


def seen_box(width: int, height: int, rule: Preprocessing) -> tuple[float, float, float, float]:
    """Return where in a picture the rule's square lies: left, top, right, bottom; a letterbox goes beyond."""
    if rule.rule == "squash":
        return 0, 0, width, height
    longest = LONGEST * min(width, height) if rule.rule == "crop" else max(width, height)
    kept = min(width, longest), min(height, longest)
    edges = [
        _seen_edges(side, part, resized, rule)
        for side, part, resized in zip((width, height), kept, rule.resized(*kept), strict=True)
    ]
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def _seen_edges(side: int, part: int, resized: int, rule: Preprocessing) -> tuple[float, float]:
    """Return where the square begins and ends on a side whose middle part was resized."""
    step = part / resized
    crop = round((resized - rule.size) / 2) if rule.rule == "crop" else -((rule.size - resized) // 2)
    begin = (side - part) // 2 + crop * step
    return begin, begin + rule.size * step


def shortened(pixels: Tensor, rule: Preprocessing, side: int) -> Tensor:
    """Resize a batch of 8-bit pixels as the rule does, whole, to a shorter side of so many pixels."""
    x = _middle(pixels.cpu())
    height, width = x.shape[2:]
    short = min(height, width)
    return _resized(x, side * height // short, side * width // short, rule)


def normalized(squares: Tensor, rule: Preprocessing) -> Tensor:
    """Scale a batch of squares, 0 to 255, subtract the mean and divide by the deviation, where they are."""
    x = squares.flip(1) if rule.channels == "bgr" else squares
    factor, shift = _factor_and_shift(rule, x.device)
    if x.stride(1) != 1:
        return x.to(torch.float32, copy=True).mul_(factor.view(-1, 1, 1)).add_(shift.view(-1, 1, 1))
    # Channels last: whole rows are multiplied by repeated constants, which is many times faster.
    count, channels, height, width = x.shape
    rows = x.movedim(1, -1).reshape(count, height, width * channels).to(torch.float32, copy=True)
    rows.mul_(factor.repeat(width)).add_(shift.repeat(width))
    return rows.view(count, height, width, channels).movedim(-1, 1)


@lru_cache(maxsize=32)
def _factor_and_shift(rule: Preprocessing, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return by what pixels are multiplied, and what is added then, brought to the device once."""
    with torch.inference_mode(False):  # whose tensors are of little use outside
        mean, std = (torch.tensor(each, dtype=torch.float64, device="cpu") for each in (rule.mean, rule.std))
        return onto((rule.scale / std).float(), device), onto((-mean / std).float(), device)


def _middle(x: Tensor) -> Tensor:
    """Take the middle of a very long picture: its crop shows no more, and resized whole it would be huge."""
    longest = LONGEST * min(x.shape[2:])
    for axis in (2, 3):
        if x.shape[axis] > longest:
            x = x.narrow(axis, (x.shape[axis] - longest) // 2, longest)
    return x


def _resized(x: Tensor, height: int, width: int, rule: Preprocessing) -> Tensor:
    if x.shape[2:] == (height, width):
        return x
    if rule.interpolation == "nearest":
        return F.interpolate(x, (height, width), mode="nearest-exact")  # "nearest" is not Pillow's
    return F.interpolate(x, (height, width), mode=rule.interpolation, antialias=rule.antialias)


def _filled(x: Tensor, rule: Preprocessing) -> Tensor:
    """Put pictures into the middle of squares of mean colour."""
    height, width = x.shape[2:]
    if height == width == rule.size:
        return x
    mean = rule.mean[::-1] if rule.channels == "bgr" else rule.mean
    colour = (torch.tensor(mean) / rule.scale).round().clamp(0, 255).to(torch.uint8)
    square = colour.view(1, -1, 1, 1).repeat(len(x), 1, rule.size, rule.size)
    top, left = (rule.size - height) // 2, (rule.size - width) // 2
    square[:, :, top : top + height, left : left + width] = x
    return square
