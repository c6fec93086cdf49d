"""Paths through a network: all of them together are the gradient, and samples are of the right ones."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import combinations, product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lab.inside import (
    LABELS,
    PIXELS,
    PLAIN,
    POSITIVE,
    TWO,
    VARIANTS,
    assert_unchanged,
    linear,
    state_of,
    tiny,
    tiny_vgg,
)
from residua import UserError
from residua.lab.inside.choosing import sequences, subsets
from residua.lab.inside.parts import InapplicableError
from residua.lab.inside.passes import kept_pass
from residua.lab.inside.paths import paths, shortest_range
from residua.nets.network import Network


@contextmanager
def path_gradients(
    network: Network, inputs: Tensor, labels: Tensor
) -> Iterator[Callable[[Iterable[int]], Tensor]]:
    """Give a function from units (their places) to the gradient at the inputs along the path through them."""
    count = len(network.units)
    with kept_pass(network, inputs, labels) as kept:

        def along(units: Iterable[int]) -> Tensor:
            through = torch.zeros(count, len(inputs), dtype=torch.bool)
            through[list(units)] = True
            return kept.at_inputs(through)

        yield along


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("fields", VARIANTS.values(), ids=VARIANTS)
def test_all_paths_together_are_the_whole_gradient(fields: dict[str, Any], training: bool) -> None:
    network = tiny(fields, training)
    before = state_of(network)
    torch.manual_seed(1)  # dropout's draws
    with path_gradients(network, PIXELS, LABELS) as along:
        ways = [[unit for unit in range(3) if taken[unit]] for taken in product([0, 1], repeat=3)]
        total = sum(along(way) for way in ways)
    assert_unchanged(network, before)
    torch.manual_seed(1)
    x = PIXELS.clone().requires_grad_()
    (whole,) = torch.autograd.grad(F.cross_entropy(network(x), LABELS, reduction="sum"), x)
    assert isinstance(total, torch.Tensor)
    torch.testing.assert_close(total, whole, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("fields", VARIANTS.values(), ids=VARIANTS)
def test_each_sample_can_take_a_path_of_its_own(fields: dict[str, Any]) -> None:
    network = tiny(fields)
    through = torch.arange(3 * 12).remainder(5).le(1).view(3, 12)
    with kept_pass(network, PIXELS, LABELS) as kept:
        together = kept.at_inputs(through)
    for sample in range(12):
        one = slice(sample, sample + 1)
        with path_gradients(network, PIXELS[one], LABELS[one]) as along:
            alone = along(through[:, sample].nonzero()[:, 0].tolist())
        torch.testing.assert_close(together[one], alone, rtol=1e-10, atol=1e-14)


def test_in_training_all_samples_take_the_same_path() -> None:
    """There a norm makes them depend on each other, so that mixed paths would be no paths."""
    network = tiny(units=(2, 2), training=True)
    found = paths(network, PIXELS, LABELS, draws=5).lengths[2].magnitude
    ways = sequences(0, "paths", 4, 2, 5)
    with path_gradients(network, PIXELS, LABELS) as along:
        norms = [along(way).flatten(1).norm(dim=1).mean().item() for way in ways]
    assert found == pytest.approx(sum(norms) / 5, rel=1e-12)


@pytest.mark.parametrize("fields", [{}, {"order": "relu_only_preactivation"}])
def test_a_linear_networks_paths_carry_the_product_of_their_weights(fields: dict[str, Any]) -> None:
    weights = [0.5, 0.25, 2.0, 0.125]
    found = paths(linear(weights, **fields), POSITIVE, TWO, draws=6)  # as many as there are of any length
    first = found.lengths[0].magnitude
    for each in found.lengths:
        ways = list(combinations(weights, each.length))
        assert each.paths == len(ways)
        assert each.magnitude == pytest.approx(first * sum(map(math.prod, ways)) / len(ways), rel=1e-12)
        assert each.total == pytest.approx(each.magnitude * len(ways), rel=1e-12)
    assert sum(each.share for each in found.lengths) == pytest.approx(1)
    assert sum(each.total for each in found.lengths) == pytest.approx(
        first * 1.5 * 1.25 * 3 * 1.125, rel=1e-12
    )
    low, high = found.effective
    assert sum(each.share for each in found.lengths[low : high + 1]) >= 0.95
    assert found.effective_share == sum(each.paths for each in found.lengths[low : high + 1]) / 16


@pytest.mark.parametrize("weight", [0.25, 1.0, 3.0])
def test_the_decay_is_the_factor_of_each_further_residual(weight: float) -> None:
    found = paths(linear([weight] * 5, order="relu_only_preactivation"), POSITIVE, TWO)
    assert found.decay == pytest.approx(weight, rel=1e-9)
    assert found.as_json()["decay"] == found.decay


def test_samples_are_a_function_of_the_seed() -> None:
    network = tiny(units=(4, 4))
    first, again, other = (paths(network, PIXELS, LABELS, draws=3, seed=seed) for seed in (0, 0, 1))
    assert first == again and first != other
    assert [each.paths for each in first.lengths] == [math.comb(8, length) for length in range(9)]
    heard: list[tuple[int, int]] = []
    paths(network, PIXELS, LABELS, draws=1, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(done, 9) for done in range(1, 10)]


@given(st.integers(0, 2**40), st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_subsets_are_different_numbers_in_order(seed: int, size: tuple[int, int]) -> None:
    among, count = size
    drawn = subsets(seed, "paths", among, count, 5)
    assert len(drawn) == min(5, math.comb(among, count))
    for row in drawn:
        assert len(row) == count and list(row) == sorted(set(row)) and set(row) <= set(range(among))


def test_every_number_is_drawn_as_often() -> None:
    drawn = [number for row in subsets(7, "paths", 24, 6, 4000) for number in row]
    assert all(drawn.count(number) == pytest.approx(1000, abs=120) for number in range(24))
    firsts = [row[0] for row in sequences(7, "swaps", 10, 3, 4000)]
    assert all(firsts.count(number) == pytest.approx(400, abs=80) for number in range(10))
    assert subsets(7, "lesions", 10, 3, 5) != subsets(7, "paths", 10, 3, 5)


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8).filter(sum), st.floats(0.01, 1))
def test_the_shortest_range_is_the_shortest(values: list[float], wanted: float) -> None:
    shares = [value / sum(values) for value in values]
    low, high = shortest_range(shares, wanted)
    assert sum(shares[low : high + 1]) >= wanted - 1e-9
    shorter = high - low
    assert all(sum(shares[at : at + shorter]) < wanted + 1e-9 for at in range(len(shares) - shorter + 1))


def test_a_network_without_shortcuts_has_one_path() -> None:
    for network in (tiny(PLAIN), tiny_vgg()):
        with pytest.raises(InapplicableError, match="no shortcuts"):
            paths(network, PIXELS, LABELS)
    with pytest.raises(UserError, match="draws=0"):
        paths(tiny(), PIXELS, LABELS, draws=0)


def test_a_network_that_is_certain_has_no_gradient() -> None:
    network = linear([0.5])
    for value in (0.0, float("nan")):
        with torch.no_grad():
            network.fc.weight[:] = value
        with pytest.raises(InapplicableError, match="no gradient comes"):
            paths(network, POSITIVE, TWO)
