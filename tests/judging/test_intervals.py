"""Intervals: those of scipy where it has them, and true as often as they say."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from residua.judging.comparison import exact_p, mid_p
from residua.judging.figures.intervals import mean_interval, paired_interval, share_interval


@given(st.integers(1, 100_000), st.floats(0, 1))
def test_the_interval_of_a_share_is_wilsons(count: int, share: float) -> None:
    hits = round(share * count)
    expected = stats.binomtest(hits, count).proportion_ci(method="wilson")
    low, high = share_interval(hits, count)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= low <= hits / count <= high <= 1


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    values = np.random.default_rng(0).exponential(size=500)
    expected = stats.norm.interval(0.95, values.mean(), stats.sem(values))
    assert mean_interval(values.tolist()) == pytest.approx(expected)
    assert mean_interval([1.0]) is None


@given(st.integers(0, 400), st.integers(0, 400))
def test_p_is_the_exact_binomial_one(first: int, second: int) -> None:
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert exact_p(first, second) == pytest.approx(expected, rel=1e-8, abs=1e-300)


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_mid_p_counts_what_is_just_as_uneven_by_half(first: int, second: int) -> None:
    count, fewer = first + second, min(first, second)
    both_sides = 2 * stats.binom.cdf(fewer, count, 0.5) - stats.binom.pmf(fewer, count, 0.5)
    assert mid_p(first, second) == mid_p(second, first) == pytest.approx(both_sides, rel=1e-8, abs=1e-300)
    assert mid_p(first, second) <= exact_p(first, second)


def test_p_of_very_many_pictures_is_no_overflow() -> None:
    assert exact_p(20_000, 20_300) == pytest.approx(stats.binomtest(20_000, 40_300).pvalue, rel=1e-6)
    assert exact_p(0, 50_000) == 0.0


@given(*[st.integers(0, 60)] * 4)
def test_the_paired_interval_turns_with_its_models(both: int, first: int, second: int, neither: int) -> None:
    assume(both + first + second + neither)
    low, high = paired_interval(both, first, second, neither)
    turned = paired_interval(both, second, first, neither)
    assert (low, high) == pytest.approx((-turned[1], -turned[0]))
    count = both + first + second + neither
    assert -1 - 1e-9 <= low <= (first - second) / count <= high <= 1 + 1e-9


@pytest.mark.parametrize("chances", [(0.7, 0.12, 0.06, 0.12), (0.9, 0.05, 0.05, 0.0), (0.3, 0.3, 0.1, 0.3)])
def test_the_paired_interval_holds_the_true_difference_as_often_as_it_says(chances: list[float]) -> None:
    truth = chances[1] - chances[2]
    tables = np.random.default_rng(0).multinomial(150, chances, 4000)
    held = [low <= truth <= high for low, high in (paired_interval(*row) for row in tables.tolist())]
    assert 0.94 <= np.mean(held) <= 0.97
