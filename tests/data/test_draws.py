"""Draws are a function of what they are for, and look like chance."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from residua.data.draws import order, uniform

WHOLE = st.integers(-(2**62), 2**62)


@given(WHOLE, st.integers(0, 10**6), st.lists(st.integers(0, 2**62), min_size=1, max_size=9))
def test_a_draw_does_not_depend_on_the_batch(seed: int, epoch: int, samples: list[int]) -> None:
    together = uniform(seed, epoch, torch.tensor(samples), "flip", 3)
    assert together.dtype == torch.float32 and together.min() >= 0 and together.max() < 1
    backwards = uniform(seed, epoch, torch.tensor(samples[::-1]), "flip", 3).flip(0)
    alone = torch.cat([uniform(seed, epoch, torch.tensor([sample]), "flip", 3) for sample in samples])
    assert together.equal(backwards) and together.equal(alone)
    assert uniform(seed, epoch, torch.tensor(samples), "flip", 5)[:, :3].equal(together)


def test_the_numbers_stay_what_they_are() -> None:
    """Runs are resumed by later versions and on other devices."""
    found = (uniform(7, 3, torch.tensor([0, 1, 2**40]), "flip", 2) * 2**24).long()
    assert found.tolist() == [[2584765, 12348895], [13257086, 11580124], [908651, 13290633]]
    assert order(7, 3, 8).tolist() == [7, 0, 6, 2, 1, 5, 3, 4]


def test_every_value_is_as_likely() -> None:
    draws = uniform(1, 0, torch.arange(20_000), "any", 5)
    counts = torch.histc(draws, 256, 0, 1)
    expected = draws.numel() / 256
    assert ((counts - expected) ** 2 / expected).sum() < 340  # 255 on average; above 340 once in 4,000
    low_bits = (draws * 2**24).long() % 256
    counts = torch.bincount(low_bits.flatten(), minlength=256)
    assert ((counts - expected) ** 2 / expected).sum() < 340


NEIGHBOURS = {
    "the next sample": uniform(1, 0, torch.arange(20_000) + 1, "any", 4),
    "a sample far away": uniform(1, 0, torch.arange(20_000) + 2**32, "any", 4),
    "the next epoch": uniform(1, 1, torch.arange(20_000), "any", 4),
    "the next seed": uniform(2, 0, torch.arange(20_000), "any", 4),
    "another stream": uniform(1, 0, torch.arange(20_000), "other", 4),
    "the next draw": uniform(1, 0, torch.arange(20_000), "any", 5)[:, 1:],
}


@pytest.mark.parametrize("other", NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_draws_are_independent(other: Tensor) -> None:
    draws = uniform(1, 0, torch.arange(20_000), "any", 4)
    pairs = torch.corrcoef(torch.stack([draws.flatten(), other.flatten()]))
    assert pairs[0, 1].abs() < 0.015  # 4 deviations
    cells = (draws * 8).long() * 8 + (other * 8).long()
    counts = torch.bincount(cells.flatten(), minlength=64)
    expected = draws.numel() / 64
    assert ((counts - expected) ** 2 / expected).sum() < 110  # 63 on average; above 110 once in 5,000


@given(WHOLE, st.integers(0, 1000), st.integers(0, 300))
def test_an_order_holds_every_number_once(seed: int, epoch: int, count: int) -> None:
    found = order(seed, epoch, count)
    assert found.sort().values.equal(torch.arange(count))
    assert found.equal(order(seed, epoch, count))


def test_orders_differ_and_every_place_is_as_likely() -> None:
    orders = torch.stack([order(0, epoch, 20) for epoch in range(2000)])
    counts = torch.bincount((orders + 20 * torch.arange(20)).flatten(), minlength=400)
    assert ((counts - 100.0) ** 2 / 100).sum() < 480  # 361 degrees of freedom


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    uniform(1, 2, torch.arange(5), "flip", 3)
    order(1, 2, 5)
    assert torch.get_rng_state().equal(before)
