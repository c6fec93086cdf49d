"""Random resized crops: the same box wherever it is drawn, and the same pixels on every kind of device."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from residua.data.augmentation import Augmentation, augment, crop_box, crop_draws
from residua.data.augmentation.cropping import resized, resized_together, scaled_box

SIDES = st.integers(1, 5000)
ROWS = crop_draws(0, 0, torch.arange(500)).tolist()


@given(SIDES, SIDES, st.sampled_from(ROWS), st.sampled_from([(0.08, 1.0), (0.5, 0.5), (1.0, 1.0)]))
def test_a_box_lies_in_the_picture(
    width: int, height: int, row: list[float], scale: tuple[float, float]
) -> None:
    left, top, wide, high = crop_box(width, height, row, scale, (3 / 4, 4 / 3))
    assert left >= 0 and top >= 0 and wide >= 1 and high >= 1
    assert left + wide <= width and top + high <= height


def test_boxes_have_the_shares_and_ratios_that_were_asked_for() -> None:
    boxes = torch.tensor([crop_box(400, 300, row, (0.2, 0.6), (0.5, 2.0)) for row in ROWS]).float()
    shares = boxes[:, 2] * boxes[:, 3] / (400 * 300)
    ratios = boxes[:, 2] / boxes[:, 3]
    assert 0.19 < shares.min() < 0.22 and 0.56 < shares.max() < 0.61
    assert 0.49 < ratios.min() < 0.55 and 1.8 < ratios.max() < 2.02
    assert {crop_box(2, 3, row, (2 / 3, 2 / 3), (1, 1)) for row in ROWS} == {(0, 0, 2, 2), (0, 1, 2, 2)}
    room = (torch.tensor([400.0, 300.0]) - boxes[:, 2:]).clamp(min=1)
    assert ((boxes[:, :2] / room).mean(0) - 0.5).abs().max() < 0.05


@pytest.mark.parametrize(
    "width, height, expected",
    [(1000, 10, (493, 0, 13, 10)), (10, 1000, (0, 493, 10, 13)), (1, 1, (0, 0, 1, 1))],
)
def test_a_picture_that_fits_no_box_gives_its_middle(
    width: int, height: int, expected: tuple[int, int, int, int]
) -> None:
    assert crop_box(width, height, ROWS[0], (0.9, 1.0), (3 / 4, 4 / 3)) == expected


def test_a_batch_takes_the_boxes_that_single_pictures_take() -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (6, 3, 40, 50), dtype=torch.uint8, generator=generator)
    samples = torch.tensor([4, 4, 9, 2**35, 1, 0])
    a = Augmentation(resized_crop=(0.08, 1.0))
    results = augment(pixels, samples, a, 3, 5, [0, 0, 0], (16, 24))
    for one, row, result in zip(pixels, crop_draws(3, 5, samples).tolist(), results, strict=True):
        left, top, width, height = crop_box(50, 40, row, (0.08, 1.0), (3 / 4, 4 / 3))
        box = one[None, :, top : top + height, left : left + width]
        assert result.equal(F.interpolate(box, (16, 24), mode="bilinear", antialias=True)[0])


@given(SIDES, SIDES, st.sampled_from(ROWS))
def test_a_scaled_crop_is_a_square_of_the_side_that_was_asked_for(
    width: int, height: int, row: list[float]
) -> None:
    left, top, side, same = scaled_box(width, height, row, (256 / 224, 480 / 224))
    short = min(width, height)
    assert side == same and 0 <= left <= width - side and 0 <= top <= height - side
    assert side == 1 or short * 224 / 480 - 0.5 <= side <= short * 224 / 256 + 0.5


def test_scaled_crops_are_uniform_in_the_shorter_side_and_in_place() -> None:
    boxes = torch.tensor([scaled_box(3000, 2000, row, (1, 3)) for row in ROWS]).double()
    shorter = 2000 / boxes[:, 2]
    assert shorter.min() < 1.02 and shorter.max() > 2.98 and abs(shorter.mean() - 2) < 0.06
    room = torch.tensor([3000.0, 2000.0]) - boxes[:, 2:] + 1
    places = boxes[:, :2] / room
    assert (places.mean(0) - 0.5).abs().max() < 0.05 and torch.corrcoef(places.T)[0, 1].abs() < 0.1


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_accelerators_resize_to_the_same_pixels(channels: int) -> None:
    boxes = [(0, 0, 50, 40), (7, 3, 9, 11), (49, 39, 1, 1), (10, 0, 40, 30), (0, 10, 16, 24)]
    pixels = noise(len(boxes), channels)
    flip = torch.tensor([False, True, False, True, True])
    ours = resized(pixels, boxes, flip, (16, 24))
    theirs = resized_together(pixels, torch.tensor(boxes), flip, (16, 24))
    assert (ours.int() - theirs.int()).abs().max() <= 1


def noise(count: int, channels: int) -> Tensor:
    generator = torch.Generator().manual_seed(channels)
    return torch.randint(0, 256, (count, channels, 40, 50), dtype=torch.uint8, generator=generator)
