"""Augmentation: what it does to a picture depends on seed, epoch and sample, and is what was asked for."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from residua import UserError
from residua.data.augmentation import AUGMENTATIONS, Augmentation, augment, augmentation
from residua.data.augmentation.colour import PRINCIPAL_COLOURS

EVERYTHING = {
    **AUGMENTATIONS,
    "reflected": Augmentation(crop_padding=3, padding="reflect", flip="alternating"),
    "zeros": Augmentation(crop_padding=3, padding="zero"),
    "colours": Augmentation(brightness=0.5, contrast=0.5, saturation=0.5, hue=0.5, lighting=0.2),
    "operations": Augmentation(randaugment=3, magnitude=10),
    "erased": Augmentation(erasing=1.0),
}


def pictures(count: int, channels: int = 3, height: int = 9, width: int = 11) -> Tensor:
    generator = torch.Generator().manual_seed(count + channels)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def run(pixels: Tensor, samples: Tensor, a: Augmentation, seed: int = 0, epoch: int = 0) -> Tensor:
    return augment(pixels, samples, a, seed, epoch, [100] * pixels.shape[1])


@pytest.mark.parametrize("a", EVERYTHING.values(), ids=EVERYTHING)
@settings(max_examples=12)
@given(st.integers(0, 2**40), st.integers(0, 99), st.sampled_from([1, 3, 4]), st.permutations(range(6)))
def test_the_rest_of_the_batch_does_not_matter(
    a: Augmentation, seed: int, epoch: int, channels: int, places: list[int]
) -> None:
    pixels, samples = pictures(6, channels), torch.arange(6) * 2**33 + 5
    before, generator = pixels.clone(), torch.get_rng_state()
    together = run(pixels, samples, a, seed, epoch)
    assert together.dtype == torch.uint8 and together.shape == pixels.shape
    assert run(pixels[places], samples[places], a, seed, epoch).equal(together[places])
    first = places[:1]
    assert run(pixels[first], samples[first], a, seed, epoch).equal(together[first])
    strided = pixels.contiguous(memory_format=torch.channels_last)
    assert run(strided, samples, a, seed, epoch).equal(together)
    wider = torch.cat([pixels, pixels], 3)[:, :, :, :11]
    assert run(wider, samples, a, seed, epoch).equal(together)
    assert pixels.equal(before) and torch.get_rng_state().equal(generator)


@pytest.mark.parametrize("a", [a for a in EVERYTHING.values() if a != Augmentation() and not a.mixes])
def test_seed_epoch_and_sample_each_make_a_difference(a: Augmentation) -> None:
    pixels, samples = pictures(1).expand(8, -1, -1, -1), torch.arange(8)
    usual = run(pixels, samples, a)
    assert not run(pixels, samples, a, seed=1).equal(usual)
    assert not run(pixels, samples, a, epoch=1).equal(usual)
    assert len({one.numpy().tobytes() for one in usual}) > 1


def test_half_are_flipped_and_nothing_else_happens() -> None:
    pixels = pictures(1).expand(2000, -1, -1, -1)
    results = run(pixels, torch.arange(2000), augmentation("flip"))
    plain, flipped = ((results == way).all(3).all(2).all(1) for way in (pixels, pixels.flip(3)))
    assert (plain ^ flipped).all()
    assert 900 < flipped.sum() < 1100


def test_alternating_flips_alternate() -> None:
    pixels, samples = pictures(1).expand(500, -1, -1, -1), torch.arange(500)
    a = Augmentation(flip="alternating")
    first, second, third = (run(pixels, samples, a, epoch=epoch) for epoch in range(3))
    assert second.equal(first.flip(3)) and third.equal(first)
    assert 200 < (first == pixels).all(3).all(2).all(1).sum() < 300


def test_every_offset_of_a_crop_is_as_likely() -> None:
    places = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8).expand(5000, 1, 8, 8)
    crops = run(places, torch.arange(5000), Augmentation(crop_padding=2))
    centre = crops[:, 0, 4, 4].long()  # comes from row 2 to 6 and column 2 to 6
    counts = torch.bincount(centre, minlength=64).view(8, 8)
    assert counts.sum() == counts[2:7, 2:7].sum()
    assert ((counts[2:7, 2:7] - 200.0) ** 2 / 200).sum() < 55  # 24 on average, more once in 3,000


@pytest.mark.parametrize("padding", ["mean", "zero", "reflect"])
def test_a_crop_is_a_window_of_the_padded_picture(padding: str) -> None:
    pixels, samples = pictures(40), torch.arange(40)
    crops = run(pixels, samples, Augmentation.edit(Augmentation(), crop_padding=4, padding=padding))
    if padding == "reflect":
        wide = torch.nn.functional.pad(pixels.float(), (4, 4, 4, 4), "reflect").to(torch.uint8)
    else:
        wide = torch.nn.functional.pad(pixels, (4, 4, 4, 4), value=100 if padding == "mean" else 0)
    windows = wide.unfold(2, 9, 1).unfold(3, 11, 1)
    for crop, window in zip(crops, windows, strict=True):
        assert (window == crop[:, None, None]).all(4).all(3).all(0).any()


def test_a_crop_can_make_pictures_smaller() -> None:
    crops = augment(pictures(30), torch.arange(30), Augmentation(crop_padding=1), 0, 0, [0] * 3, (5, 6))
    assert crops.shape == (30, 3, 5, 6)


def test_erasing_fills_a_rectangle_of_a_third_at_most() -> None:
    pixels, samples = torch.full((1000, 3, 32, 32), 7, dtype=torch.uint8), torch.arange(1000)
    gone = (run(pixels, samples, Augmentation(erasing=0.4)) == 100).all(1)
    areas = gone.sum((1, 2)) / 1024
    hit = areas > 0
    assert 350 < hit.sum() < 450
    assert areas[hit].min() > 0.012 and areas.max() < 0.36 and 0.15 < areas[hit].mean() < 0.2
    rows, columns = gone.any(2).sum(1), gone.any(1).sum(1)
    assert (rows * columns == gone.sum((1, 2))).all()
    assert gone.any(0).float().mean() > 0.99  # anywhere


def test_operations_differ_between_pictures() -> None:
    pixels = pictures(1, 3, 16, 16).expand(300, -1, -1, -1)
    results = run(pixels, torch.arange(300), Augmentation(randaugment=1))
    different = {one.numpy().tobytes() for one in results}
    assert len(different) == 23  # 14 operations, 9 of them in two directions
    unchanged = (results == pixels).all(3).all(2).all(1).sum()
    assert 8 < unchanged < 40


@pytest.mark.parametrize("height, width", [(1, 1), (1, 7), (2, 2), (3, 1)])
def test_the_smallest_pictures_pass(height: int, width: int) -> None:
    for a in (Augmentation(randaugment=14, magnitude=10, erasing=1, hue=0.5), augmentation("photo")):
        for channels in (1, 3, 4):
            pixels = pictures(20, channels, height, width)
            assert run(pixels, torch.arange(20), a).shape == pixels.shape


def test_colours_change_independently() -> None:
    pixels = torch.tensor([40, 120], dtype=torch.uint8).view(1, 1, 1, 2).expand(1000, 3, -1, -1)
    brighter = run(pixels, torch.arange(1000), Augmentation(brightness=0.5))[:, 0, 0, 1] / 120
    starker = run(pixels, torch.arange(1000), Augmentation(contrast=0.5)).float()[:, 0, 0].diff()[:, 0] / 80
    assert brighter.aminmax() == pytest.approx((0.5, 1.5), abs=0.03)
    assert starker.aminmax() == pytest.approx((0.5, 1.5), abs=0.03)
    assert torch.corrcoef(torch.stack([brighter, starker]))[0, 1].abs() < 0.12


def test_lighting_adds_the_principal_colours_in_normal_amounts() -> None:
    pixels = torch.full((4000, 3, 2, 2), 128, dtype=torch.uint8)
    added = run(pixels, torch.arange(4000), Augmentation(lighting=0.5)).float() - 128
    assert added.equal(added[:, :, :1, :1].expand_as(added))
    colours = added[:, :, 0, 0] / 255 / 0.5
    vectors = torch.tensor(PRINCIPAL_COLOURS)
    torch.testing.assert_close(colours.T.cov(), vectors.T @ vectors, atol=1e-3, rtol=0)
    gray = pictures(4, 1)
    assert run(gray, torch.arange(4), Augmentation(lighting=1.0)).equal(gray)


def test_alpha_keeps_its_values() -> None:
    pixels = pictures(20, 4)
    results = run(pixels, torch.arange(20), EVERYTHING["colours"])
    assert results[:, 3].equal(pixels[:, 3]) and not results[:, :3].equal(pixels[:, :3])


NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"flipp": "random"}, "unknown field of the augmentation 'flipp': did you mean flip"),
    ({"flip": "both"}, "flip='both'.*'alternating'"),
    ({"crop_padding": -1}, "crop_padding=-1"),
    ({"crop_padding": 1.5}, "crop_padding=1.5.*whole number"),
    ({"resized_crop": (0.5, 0.1)}, "two numbers from 0 to 1, the least first"),
    ({"resized_crop": (0.0, 0.0)}, "resized_crop"),
    ({"resized_crop": (0.5,)}, "resized_crop"),
    ({"resized_crop": (0.5, 1), "ratio": (0, 1)}, "ratio"),
    ({"ratio": (1, 1)}, "ratio.*has no meaning here: it needs resized_crop"),
    ({"padding": "zero"}, "padding.*needs crop_padding"),
    ({"magnitude": 5}, "magnitude.*needs randaugment"),
    ({"randaugment": 2, "magnitude": 11}, "magnitude=11"),
    ({"randaugment": -1}, "randaugment=-1"),
    ({"crop_padding": 1, "resized_crop": (0.1, 1)}, "two crops: choose one"),
    ({"scaled_crop": (1, 2), "resized_crop": (0.1, 1)}, "resized_crop and scaled_crop are two crops"),
    ({"scaled_crop": (0.5, 2)}, "scaled_crop=.*two numbers from 1 to 1000"),
    ({"lighting": -1}, "lighting=-1"),
    ({"hue": 0.6}, "hue=0.6"),
    ({"erasing": 2}, "erasing=2"),
    ({"mixup": float("nan")}, "mixup=nan"),
    ({"cutmix": -1}, "cutmix=-1"),
]


@pytest.mark.parametrize("changes, message", NONSENSE, ids=str)
def test_nonsense_is_one_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        augmentation("none", **changes)


def test_names_and_edits() -> None:
    with pytest.raises(UserError, match="unknown augmentation 'cifer': did you mean cifar"):
        augmentation("cifer")
    assert augmentation("cifar", crop_padding=0) == augmentation("flip")  # and its padding is forgotten
    assert augmentation("photo", resized_crop=[0.5, 1]).resized_crop == (0.5, 1.0)
    for a in AUGMENTATIONS.values():
        assert Augmentation(**a.to_dict()) == a


@pytest.mark.parametrize("a, size", [(EVERYTHING["reflected"], None), (EVERYTHING["zeros"], (99, 5))])
def test_a_crop_that_does_not_fit_is_a_sentence(a: Augmentation, size: tuple[int, int] | None) -> None:
    with pytest.raises(UserError, match="cannot be cropped"):
        augment(pictures(2, 3, 3, 3), torch.arange(2), a, 0, 0, [0] * 3, size)


def test_every_field_and_name_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "augmentation.md").read_text()
    for name in (*Augmentation().to_dict(), *AUGMENTATIONS):
        assert f"`{name}`" in text, name
