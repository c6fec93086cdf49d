"""Mixup and CutMix: labels are shares of what is seen."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from residua.data.augmentation import Augmentation, mix
from residua.data.augmentation.mixing import _partners

COUNT = 400


def marked(count: int = COUNT) -> Tensor:
    """Pictures whose every pixel says which one it is."""
    return torch.arange(count).float().view(-1, 1, 1, 1).expand(-1, 3, 16, 20)


@pytest.mark.parametrize(
    "a", [Augmentation(mixup=0.3), Augmentation(cutmix=1), Augmentation(mixup=1, cutmix=1)]
)
def test_labels_are_the_shares_of_the_pixels(a: Augmentation) -> None:
    inputs, targets = mix(marked(), torch.eye(COUNT), torch.arange(COUNT), a, 0, 0)
    assert targets.sum(1).numpy() == pytest.approx(1, abs=1e-5)
    seen = inputs.mean((1, 2, 3))
    said = targets @ torch.arange(COUNT).float()
    assert said.numpy() == pytest.approx(seen.numpy(), abs=0.02)
    others = targets - torch.diag(targets.diag())
    assert (others > 0).sum(1).max() == 1  # one partner
    assert (others > 0).sum(0).max() == 1  # whose only one it is


def test_cutmix_pastes_a_rectangle_and_mixup_covers_all() -> None:
    cut, _ = mix(marked(), torch.eye(COUNT), torch.arange(COUNT), Augmentation(cutmix=1), 0, 0)
    foreign = (cut != marked()).all(1)
    assert (foreign.any(2).sum(1) * foreign.any(1).sum(1) == foreign.sum((1, 2))).all()
    assert (cut == cut.round()).all() and 0.6 < foreign.any(2).any(1).float().mean() <= 1
    assert (foreign.float().mean(0) > 0.05).all()  # anywhere
    halves, _ = mix(marked(), torch.eye(COUNT), torch.arange(COUNT), Augmentation(cutmix=90), 0, 0)
    assert 0.45 < (halves != marked()).float().mean((1, 2, 3)).max() < 0.6
    even, _ = mix(marked(), torch.eye(COUNT), torch.arange(COUNT), Augmentation(mixup=1), 0, 0)
    assert even.flatten(1).std(1).max() == 0


def test_partners_do_not_depend_on_the_order_even_where_draws_are_equal() -> None:
    samples = torch.tensor([9, 2, 7, 5, 0, 3])
    turned = torch.tensor([3, 0, 5, 1, 4, 2])
    draws = torch.tensor([0.5, 0.5, 0.5, 0.25, 0.5, 0.5])
    partners = samples[_partners(draws, samples)]
    assert torch.equal(samples[turned][_partners(draws[turned], samples[turned])], partners[turned])
    assert sorted(partners.tolist()) == sorted(samples.tolist())


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 8.0, 90.0])
def test_shares_follow_the_beta_distribution(alpha: float) -> None:
    _, targets = mix(
        marked(4000)[:, :, :1, :1], torch.eye(4000), torch.arange(4000), Augmentation(mixup=alpha), 1, 0
    )
    shares = targets.diag()
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(shares.var()) == pytest.approx(0.25 / (2 * alpha + 1), rel=0.08)


def test_with_both_each_picture_meets_one() -> None:
    a = Augmentation(mixup=1.0, cutmix=1.0)
    inputs, _ = mix(marked(), torch.eye(COUNT), torch.arange(COUNT), a, 0, 0)
    whole = inputs[:, 0].flatten(1).std(1) == 0
    assert 0.4 < whole.float().mean() < 0.75  # and CutMix rectangles that fall wholly outside, or cover all


@settings(max_examples=20)
@given(st.integers(0, 2**40), st.permutations(range(7)))
def test_the_order_of_the_batch_does_not_matter(seed: int, places: list[int]) -> None:
    a, samples = Augmentation(mixup=0.5, cutmix=0.5), torch.arange(7) * 3
    generator = torch.get_rng_state()
    inputs, targets = mix(marked(7), torch.eye(7), samples, a, seed, 2)
    again = mix(marked(7)[places], torch.eye(7)[places], samples[places], a, seed, 2)
    assert again[0].equal(inputs[places]) and again[1].equal(targets[places])
    assert torch.get_rng_state().equal(generator)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16, torch.float64])
def test_kinds_of_numbers_are_kept(dtype: torch.dtype) -> None:
    pixels = marked(5).to(dtype)
    inputs, targets = mix(pixels, torch.eye(5), torch.arange(5), Augmentation(mixup=0.5), 0, 0)
    assert inputs.dtype == dtype and inputs.shape == pixels.shape and targets.dtype == torch.float32


def test_one_picture_is_mixed_with_itself_and_nothing_asked_changes_nothing() -> None:
    one, label = marked(2)[1:], torch.tensor([[0.0, 1.0]])
    for a in (Augmentation(mixup=0.5), Augmentation(cutmix=0.5), Augmentation()):
        inputs, targets = mix(one, label, torch.tensor([5]), a, 0, 0)
        assert inputs.equal(one) and targets.equal(label)
