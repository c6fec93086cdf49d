"""Augmentation on one core against textbook code on single pictures, interleaved in one run.

    python benchmarks/augmentation.py [--rounds 11]

Pictures a second from 8-bit pixels to normalised floats, and the ratio pair by pair (above 1: Residua is
faster): median, and the quartiles of the pairs. The textbook augments one picture after the other, as a
dataset's `__getitem__` does, with Pillow where torch has no operation, and stacks them.
"""

from __future__ import annotations

import argparse
import functools
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance
from torch import Tensor

from residua.data.augmentation import Augmentation, augment, augmentation, mix
from residua.weights.metadata import Preprocessing
from residua.weights.preprocessing import normalized

RULE = Preprocessing()
MEAN, STD = (torch.tensor(values).view(3, 1, 1) for values in (RULE.mean, RULE.std))
FILL = (124, 116, 104)
One = Callable[[Tensor], Tensor]
COLOURS = Augmentation(brightness=0.4, contrast=0.4, saturation=0.4)


class Case(NamedTuple):
    """What is timed: ours on a batch, and the textbook's on one picture, if it has one."""

    name: str
    ours: Augmentation
    textbook: One | None = None


def cropped(one: Tensor) -> Tensor:
    wide = F.pad(one, (4, 4, 4, 4))
    top, left = random.randint(0, 8), random.randint(0, 8)
    one = wide[:, top : top + 32, left : left + 32]
    return one.flip(2) if random.random() < 0.5 else one


def erased(one: Tensor) -> Tensor:
    one = cropped(one).clone()
    height, width = random.randint(4, 18), random.randint(4, 18)
    top, left = random.randint(0, 32 - height), random.randint(0, 32 - width)
    one[:, top : top + height, left : left + width] = torch.tensor(FILL, dtype=torch.uint8)[:, None, None]
    return one


def as_image(one: Tensor) -> Image.Image:
    return Image.fromarray(one.permute(1, 2, 0).numpy())


def as_tensor(image: Image.Image) -> Tensor:
    return (
        torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        .view(*image.size[::-1], 3)
        .permute(2, 0, 1)
    )


def coloured(one: Tensor) -> Tensor:
    image = as_image(one)
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(random.uniform(0.6, 1.4))
    return as_tensor(image)


def photographed(one: Tensor) -> Tensor:
    side = random.randint(90, 250)
    top, left = random.randint(0, 256 - side), random.randint(0, 341 - side)
    box = (left, top, left + side, top + side)
    image = as_image(one).resize((224, 224), Image.Resampling.BILINEAR, box)
    return as_tensor(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else image)


SMALL = (
    Case("crop 4 and flip", augmentation("cifar", padding="zero"), cropped),
    Case("and erasing", augmentation("cifar", padding="zero", erasing=1.0), erased),
    Case("colours", COLOURS, coloured),
    Case("hue", Augmentation(hue=0.1)),
    Case("randaugment 2, 9", Augmentation(randaugment=2)),
    Case("mixup or cutmix", Augmentation(mixup=0.2, cutmix=1.0)),
)
LARGE = (
    Case("photo", augmentation("photo"), photographed),
    Case("photo-strong", augmentation("photo-strong")),
)


def ours(case: Case, pixels: Tensor, size: int) -> Tensor:
    samples = torch.arange(len(pixels))
    squares = augment(pixels, samples, case.ours, 0, 0, FILL, (size, size))
    inputs = normalized(squares, RULE)
    if case.ours.mixes:
        inputs, _ = mix(inputs, torch.eye(10)[samples % 10], samples, case.ours, 0, 0)
    return inputs


def textbook(change: One, pixels: Tensor) -> Tensor:
    return torch.stack([(change(one).float() / 255 - MEAN) / STD for one in pixels])


def pairs(case: Case, pixels: Tensor, size: int, rounds: int) -> Iterator[tuple[float, float]]:
    """Pictures a second of both, one after the other, after a round to warm up."""
    work = [functools.partial(ours, case, pixels, size)]
    if case.textbook:
        work.append(functools.partial(textbook, case.textbook, pixels))
    for turn in range(rounds + 1):
        speeds = []
        for one in work:
            start = time.perf_counter()
            one()
            speeds.append(len(pixels) / (time.perf_counter() - start))
        if turn:
            yield speeds[0], speeds[-1]


def report(case: Case, pixels: Tensor, size: int, rounds: int) -> None:
    found = list(pairs(case, pixels, size, rounds))
    low, speed, high = statistics.quantiles([mine for mine, _ in found], n=4)
    line = f"{case.name:18} {len(pixels):5} {speed:9,.0f} ({low:,.0f} to {high:,.0f})"
    if case.textbook:
        low, ratio, high = statistics.quantiles([mine / theirs for mine, theirs in found], n=4)
        peer = statistics.median(theirs for _, theirs in found)
        line += f"   textbook {peer:7,.0f}   ratio {ratio:.2f} ({low:.2f} to {high:.2f})"
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for batch in (128, 512):
        pixels = torch.randint(0, 256, (batch, 3, 32, 32), dtype=torch.uint8)
        for case in SMALL:
            report(case, pixels, 32, rounds)
    photos = torch.randint(0, 256, (64, 256, 341, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    for case in LARGE:
        report(case, photos, 224, rounds)


if __name__ == "__main__":
    main()
