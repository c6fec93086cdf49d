"""The rate, the picture size and the consequences of scores, as functions of how far a training is."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from residua.training.recipes import Recipe, recipe
from residua.training.updating.schedule import rate, size_at
from residua.training.updating.scores import drops, is_better, is_over

SMOOTH = st.builds(
    Recipe,
    epochs=st.just(1),
    schedule=st.sampled_from(["cosine", "linear"]),
    warmup=st.floats(0, 0.9),
)


def test_the_papers_rate_drops_at_32000_and_48000() -> None:
    paper = recipe("paper", size=32, depth=56)
    rates = [paper.learning_rate * rate(paper, step, 64_000) for step in range(64_000)]
    pieces = [(round(value, 9), len(list(run))) for value, run in itertools.groupby(rates)]
    assert pieces == [(0.1, 32_000), (0.01, 16_000), (0.001, 16_000)]


def test_110_layers_begin_at_a_tenth_for_400_updates() -> None:
    paper = recipe("paper", size=32, depth=110)
    rates = [paper.learning_rate * rate(paper, step, 64_000) for step in (0, 399, 400, 31_999, 32_000)]
    assert rates == pytest.approx([0.01, 0.01, 0.1, 0.1, 0.01])


@given(SMOOTH, st.integers(1, 400))
def test_a_smooth_rate_rises_to_one_and_falls_to_almost_nothing(one: Recipe, steps: int) -> None:
    rates = [rate(one, step, steps) for step in range(steps)]
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(1)
    assert all(value > 0 for value in rates)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    rest = steps - peak
    assert rates[-1] <= max(1 / rest, 1e-9) + 1e-12


@given(SMOOTH, st.integers(2, 400))
def test_a_smooth_rate_has_no_jumps(one: Recipe, steps: int) -> None:
    rates = [rate(one, step, steps) for step in range(steps)]
    peak = rates.index(max(rates))
    rise, fall = 1 / (peak + 1), math.pi / 2 / (steps - peak)
    for step, (first, second) in enumerate(itertools.pairwise(rates)):
        assert abs(second - first) <= (rise if step < peak else fall) + 1e-9


@given(SMOOTH, st.integers(0, 999), st.integers(2, 20), st.floats(0.1, 0.9))
def test_a_longer_training_has_the_same_shape(one: Recipe, step: int, times: int, warmup: float) -> None:
    one = one.edit(warmup=warmup)
    assert rate(one, step * times, 1000 * times) == pytest.approx(rate(one, step, 1000), abs=0.02)


def test_the_middle_of_a_linear_and_a_cosine_rate() -> None:
    for schedule in ("linear", "cosine"):
        assert rate(Recipe(epochs=1, schedule=schedule), 50, 100) == pytest.approx(0.5)
    cosine = Recipe(epochs=1, schedule="cosine")
    assert rate(cosine, 25, 100) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


def test_a_plateau_divides_the_rate_each_time_scores_stop_rising() -> None:
    one = Recipe(epochs=9, schedule="plateau", plateau=2)
    scores = [50.0, 60.0, 60.0, 59.0, 58.0, 57.0, 61.0, 61.0]
    factors = [rate(one, 0, 100, scores[:count]) for count in range(len(scores) + 1)]
    assert factors == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01])


@given(st.lists(st.floats(0, 100), max_size=30), st.integers(1, 5), st.sampled_from(["top1", "loss"]))
def test_drops_never_go_back_and_need_their_time(scores: list[float], plateau: int, metric: str) -> None:
    one = Recipe(epochs=9, schedule="plateau", plateau=plateau).edit(metric=metric)
    counts = [drops(one, scores[:count]) for count in range(len(scores) + 1)]
    assert counts == sorted(counts)
    assert counts[-1] <= max(0, len(scores) - 1) // plateau


def test_what_is_better_depends_on_the_metric_and_is_a_number() -> None:
    top1, loss = Recipe(epochs=1), Recipe(epochs=1, metric="loss")
    assert is_better(top1, 2, 1) and not is_better(top1, 1, 1) and is_better(top1, 0, None)
    assert is_better(loss, 1, 2) and not is_better(loss, 2, 2)
    assert not is_better(top1, math.nan, None) and not is_better(loss, math.nan, 1.0)


def test_patience_ends_with_the_passes_since_the_best() -> None:
    one = Recipe(epochs=9, patience=2, metric="loss")
    scores = [3.0, 2.0, 2.0, 1.0, 1.5, 1.0]
    assert [is_over(one, scores[:count]) for count in range(7)] == [False] * 6 + [True]
    assert not is_over(one.edit(patience=None), scores)


def test_pictures_grow_in_equal_parts_of_the_training() -> None:
    fast = recipe("fast", size=224)
    sizes = [size_at(fast, step, 15, 224) for step in range(15)]
    assert sizes == [160] * 6 + [192] * 6 + [224] * 3
    assert {size_at(Recipe(epochs=1), step, 4, 227) for step in range(4)} == {227}


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=5), st.integers(1, 512), st.integers(1, 40))
def test_sizes_lie_within_the_full_one(shares: list[float], size: int, steps: int) -> None:
    one = Recipe(epochs=1, sizes=tuple(shares))
    sizes = [size_at(one, step, steps, size) for step in range(steps)]
    assert all(1 <= each <= size for each in sizes)
