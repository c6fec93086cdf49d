"""Operations on batches against Pillow's on single pictures."""

import colorsys
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from residua.data.augmentation import colour
from residua.data.augmentation.picking import affine
from residua.data.augmentation.randaugment import OPERATIONS

FACTORS = (0.0, 0.1, 0.55, 1.0, 1.3, 1.9)


def pictures(channels: int) -> Tensor:
    """Six pictures: noise over gradients, the last two dull and of one colour."""
    generator = torch.Generator().manual_seed(channels)
    slope = torch.linspace(0, 200, 31) + torch.linspace(0, 60, 24)[:, None]
    noise = torch.rand(6, channels, 24, 31, generator=generator) * 120 - 60
    pixels = slope * torch.rand(6, channels, 1, 1, generator=generator) + noise
    pixels[4] = pixels[4] / 4 + 90
    pixels[5] = torch.arange(channels)[:, None, None] * 50.0
    return pixels.clamp(0, 255).to(torch.uint8)


def as_image(pixels: Tensor) -> Image.Image:
    array = pixels.permute(1, 2, 0).numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def difference(results: Tensor, images: list[Image.Image]) -> int:
    expected = torch.stack([torch.from_numpy(np.array(image)) for image in images])
    expected = expected[:, None] if expected.dim() == 3 else expected.permute(0, 3, 1, 2)
    return int((results.int() - expected.int()).abs().max())


ENHANCERS: dict[
    str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Image.Image, float], Image.Image]]
] = {
    "brightness": (colour.brightness, lambda image, f: ImageEnhance.Brightness(image).enhance(f)),
    "contrast": (colour.contrast, lambda image, f: ImageEnhance.Contrast(image).enhance(f)),
    "saturation": (colour.saturation, lambda image, f: ImageEnhance.Color(image).enhance(f)),
    "sharpness": (colour.sharpness, lambda image, f: ImageEnhance.Sharpness(image).enhance(f)),
    "solarize": (
        lambda pixels, f: colour.solarize(pixels, 256 - 128 * f),
        lambda image, f: ImageOps.solarize(image, 256 - 128 * f),  # type: ignore[arg-type]
    ),
    "posterize": (
        lambda pixels, f: colour.posterize(pixels, 8 - (3 * f).round()),
        lambda image, f: ImageOps.posterize(image, 8 - round(3 * f)),
    ),
    "autocontrast": (
        lambda pixels, _: colour.autocontrast(pixels),
        lambda image, _: ImageOps.autocontrast(image),
    ),
    "equalize": (lambda pixels, _: colour.equalize(pixels), lambda image, _: ImageOps.equalize(image)),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ENHANCERS)
def test_as_pillow_does_it(name: str, channels: int) -> None:
    ours, theirs = ENHANCERS[name]
    pixels = pictures(channels)
    images = [theirs(as_image(one), factor) for one, factor in zip(pixels, FACTORS, strict=True)]
    exact = name not in ("brightness", "contrast", "saturation", "autocontrast")
    assert difference(ours(pixels, torch.tensor(FACTORS)), images) <= (0 if exact else 1)


def test_hue_turns_as_in_the_cone() -> None:
    pixels = pictures(3)
    turns = torch.tensor([-0.5, -0.2, 0.0, 0.1, 0.33, 0.5])
    results = colour.hue(pixels, turns)
    assert results[2].equal(pixels[2])
    for one, turn, result in zip(pixels, turns.tolist(), results, strict=True):
        for place in range(0, 24 * 31, 41):
            hue, saturation, value = colorsys.rgb_to_hsv(*(one.flatten(1)[:, place] / 255).tolist())
            expected = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
            assert result.flatten(1)[:, place].tolist() == pytest.approx([255 * x for x in expected], abs=1)


MATRICES = {
    "still": (1, 0, 0, 0, 1, 0),
    "shear": (1, 0.213, 0, 0, 1, 0),
    "moved": (1, 0, 5, 0, 1, -3),
    "turned": (math.cos(0.4), -math.sin(0.4), 0, math.sin(0.4), math.cos(0.4), 0),
}


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_movements_as_pillow_does_them(matrix: tuple[float, ...]) -> None:
    pixels = pictures(3)
    a, b, c, d, e, f = matrix
    x, y = 31 / 2, 24 / 2  # Pillow's matrices are about a corner
    about_corner = (a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y)
    images = [
        as_image(one).transform(
            (31, 24), Image.Transform.AFFINE, about_corner, Image.Resampling.NEAREST, fillcolor=(9, 8, 7)
        )
        for one in pixels
    ]
    moved = affine(pixels, torch.tensor(matrix).view(1, 2, 3).repeat(6, 1, 1), torch.tensor([9, 8, 7]).byte())
    expected = torch.stack([torch.from_numpy(np.array(image)) for image in images]).permute(0, 3, 1, 2)
    assert (moved != expected).float().mean() < 0.005  # Pillow's coordinates have 16 bits after the point


STRONGEST: dict[str, Callable[[Image.Image], Image.Image]] = {
    "identity": lambda image: image,
    "rotate": lambda image: image.rotate(30, fillcolor=(9, 8, 7)),
    "translate_x": lambda image: moved_by(image, (1, 0, 0.45 * 31, 0, 1, 0)),
    "translate_y": lambda image: moved_by(image, (1, 0, 0, 0, 1, 0.45 * 24)),
    "shear_x": lambda image: moved_by(image, (1, 0.3, -0.3 * 12, 0, 1, 0)),
    "shear_y": lambda image: moved_by(image, (1, 0, 0, 0.3, 1, -0.3 * 15.5)),
    "brightness": lambda image: ImageEnhance.Brightness(image).enhance(1.9),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.9),
    "colour": lambda image: ImageEnhance.Color(image).enhance(1.9),
    "sharpness": lambda image: ImageEnhance.Sharpness(image).enhance(1.9),
    "posterize": lambda image: ImageOps.posterize(image, 4),
    "solarize": lambda image: ImageOps.solarize(image, 0),
    "autocontrast": ImageOps.autocontrast,
    "equalize": ImageOps.equalize,
}


def moved_by(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, fillcolor=(9, 8, 7))


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_strongest_operations_of_randaugment(name: str) -> None:
    pixels = pictures(3)
    results = OPERATIONS[name](pixels, torch.ones(6), torch.tensor([9, 8, 7]).byte())
    images = [np.array(STRONGEST[name](as_image(one))) for one in pixels]
    expected = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    assert (
        (results.int() - expected.int()).abs() > 1
    ).float().mean() < 0.03  # of the nearest, some are as near
