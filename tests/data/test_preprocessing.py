"""The contract's steps give what Pillow gives, and what the page about them says."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from residua.data.decoding import decode
from residua.weights.metadata import Preprocessing
from residua.weights.preprocessing import normalized, preprocess, squared

PAGE = Path(__file__).parents[2] / "docs" / "preprocessing.md"


def photo(width: int, height: int) -> Image.Image:
    """Waves of many lengths, edges and some noise: about as hard as a photo."""
    y, x = np.mgrid[0:height, 0:width] / 7
    waves = np.stack([np.sin(x + y), np.sin(x * y / 30), np.sign(np.sin(x / 2))], 2)
    noise = np.random.default_rng(0).normal(0, 10, waves.shape)
    return Image.fromarray((127 + 110 * waves + noise).clip(0, 255).astype(np.uint8))


def batch(*images: Image.Image) -> Tensor:
    return torch.stack([torch.from_numpy(np.array(image)).movedim(-1, 0) for image in images])


def by_pillow(image: Image.Image, rule: Preprocessing) -> Image.Image:
    kinds = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    width, height = rule.resized(*image.size)
    resized = image.resize((width, height), kinds[rule.interpolation])
    if rule.rule == "crop":
        left, top = round((width - rule.size) / 2), round((height - rule.size) / 2)
        return resized.crop((left, top, left + rule.size, top + rule.size))
    square = Image.new("RGB", (rule.size, rule.size), tuple(round(255 * mean) for mean in rule.mean))
    square.paste(resized, ((rule.size - width) // 2, (rule.size - height) // 2))
    return square


@pytest.mark.parametrize("rule", ["crop", "letterbox", "squash"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "tall"), [((500, 375), 0), ((375, 500), 0), ((90, 80), 0), ((131, 320), 1)])
def test_squares_are_pillows(rule: Any, interpolation: Any, size: tuple[int, int], tall: bool) -> None:
    """Pillow resizes the height of tall photos first, and rounds in between: at sharp edges that shows."""
    chosen = Preprocessing(size=112, resize=128, rule=rule, interpolation=interpolation)
    image = photo(*size)
    difference = (squared(batch(image), chosen)[0].int() - batch(by_pillow(image, chosen))[0].int()).abs()
    most = 8 if tall and interpolation == "bicubic" else 2
    assert difference.max() <= most and difference.float().mean() < (0.3 if tall else 0.01)


@pytest.mark.parametrize("rule", ["crop", "letterbox", "squash"])
def test_the_nearest_pixel_is_pillows(rule: Any) -> None:
    """But where two are as near: then rounding decides."""
    chosen = Preprocessing(size=50, resize=60, rule=rule, interpolation="nearest")
    for image in (photo(131, 97), photo(97, 131), photo(43, 37)):
        width, height = chosen.resized(*image.size)
        by_hand = image.resize((width, height), Image.Resampling.NEAREST)
        assert torch.equal(squared(batch(image), chosen), squared(batch(by_hand), chosen))


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from(["crop", "letterbox", "squash"]))
def test_the_resized_size_fits_the_rule(width: int, height: int, rule: Any) -> None:
    wide, high = Preprocessing(size=32, resize=40, rule=rule).resized(width, height)
    if rule == "crop":
        assert (
            min(wide, high) == 40 and abs(max(wide, high) - 40 * max(width, height) / min(width, height)) < 1
        )
    else:
        assert max(wide, high) == 32 and min(wide, high) >= 1
    if rule == "letterbox":
        assert abs(min(wide, high) - 32 * min(width, height) / max(width, height)) <= 1


@pytest.mark.parametrize("size", [(100_000, 2), (2, 100_000), (1, 1)])
@pytest.mark.parametrize("rule", ["crop", "letterbox", "squash"])
def test_no_shape_needs_much_memory(size: tuple[int, int], rule: Any) -> None:
    pixels = torch.arange(size[0] * size[1]).to(torch.uint8).view(1, 1, size[1], size[0]).repeat(1, 3, 1, 1)
    assert squared(pixels, Preprocessing(rule=rule)).shape == (1, 3, 224, 224)


def test_of_a_very_long_photo_the_middle_is_shown() -> None:
    image = photo(2000, 60)
    rule = Preprocessing(size=56, resize=60)
    expected = batch(image.crop((972, 2, 1028, 58)))
    assert torch.equal(squared(batch(image), rule), expected)
    assert torch.equal(squared(batch(image).mT, rule), expected.mT)


Layout = Literal["contiguous", "channels last", "cut out"]


@pytest.mark.parametrize("layout", ["contiguous", "channels last", "cut out"])
@pytest.mark.parametrize("channels", ["rgb", "bgr", "gray", "rgba"])
def test_normalising_is_exact_in_any_layout(layout: Layout, channels: Any) -> None:
    count = {"gray": 1, "rgba": 4}.get(channels, 3)
    mean, std = (0.485, 0.456, 0.406, 0.1)[:count], (0.229, 0.224, 0.225, 0.3)[:count]
    rule = Preprocessing(size=6, resize=6, channels=channels, mean=mean, std=std)
    squares = torch.randint(0, 256, (2, count, 6, 6), dtype=torch.uint8)
    turned = squares.flip(1) if channels == "bgr" else squares
    columns = (torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1) for values in (mean, std))
    mean_column, std_column = columns
    expected = (turned.double() / 255 - mean_column) / std_column
    if layout == "cut out":
        wide = torch.zeros(2, count, 8, 9, dtype=torch.uint8).to(memory_format=torch.channels_last)
        wide[:, :, 1:7, 2:8] = squares
        squares = wide[:, :, 1:7, 2:8]
    elif layout == "channels last":
        squares = squares.to(memory_format=torch.channels_last)
    kept = squares.clone()
    torch.testing.assert_close(normalized(squares, rule).double(), expected, atol=2e-6, rtol=0)
    assert torch.equal(squares, kept)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_squares_of_fractions_stay_what_they_are(layout: torch.memory_format) -> None:
    squares = (255 * torch.rand(2, 3, 6, 6)).to(memory_format=layout)
    kept = squares.clone()
    normalized(squares, Preprocessing(size=6, resize=6))
    assert torch.equal(squares, kept)


def test_the_pages_code_gives_the_same(tmp_path: Path) -> None:
    code = PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own page
    exif = Image.Exif()
    exif[0x0112] = 6
    file = tmp_path / "photo.jpg"
    photo(500, 375).save(file, quality=90, exif=exif)
    rule = Preprocessing()
    found = preprocess(batch(Image.fromarray(decode(file, "photo", needed=rule.resized))), rule)
    expected = torch.from_numpy(names["network_input"](file))
    one_level = 1 / 255 / min(rule.std)
    assert found.shape == expected.shape and (found - expected).abs().max() <= 1.01 * one_level
