"""Intervals, held against what they promise: they miss the truth in five cases of a hundred."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from residua.lab.chance import STUDENT, Interval, Sample, of_difference, of_mean

REPEATED = 600
Draws = np.random.Generator


def samples(values: NDArray[np.float64]) -> list[Sample]:
    return [Sample(dict(enumerate(map(float, row)))) for row in values]


def within(found: Interval | None, truth: float = 0.0) -> bool:
    assert found is not None
    return found.low <= truth <= found.high


def test_the_quantiles_are_students() -> None:
    exact = [stats.t.ppf(0.975, degrees) for degrees in range(1, 31)]
    assert np.allclose(STUDENT, exact, atol=1e-3)
    assert all(table >= real for table, real in zip(STUDENT, exact, strict=True))


def test_an_interval_of_seeds_is_students() -> None:
    values = [8.1, 8.9, 8.4, 8.6]
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    found = of_mean(Sample(dict(enumerate(values))))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-3)


def trained(draws: Draws, networks: int, uneven: float, common: float = 0.0) -> NDArray[np.float64]:
    """Errors of networks that are all as good, by network and seed; `uneven` is how spreads differ (log)."""
    spreads = np.exp(draws.normal(0, uneven, (networks, 1))) * 0.3
    return 8 + spreads * draws.normal(0, 1, (networks, 3)) + common * draws.normal(0, 1, 3)


@pytest.mark.parametrize(
    ("networks", "uneven", "common"),
    [(2, 0.0, 0.0), (3, 0.25, 0.0), (5, 0.25, 0.0), (14, 0.0, 0.0), (14, 0.25, 0.0), (14, 0.25, 0.5)],
)
def test_of_networks_that_spread_alike_differences_are_missed_in_five_of_a_hundred(
    networks: int, uneven: float, common: float
) -> None:
    draws = np.random.default_rng(0)
    hits = 0
    for _ in range(REPEATED):
        less, than, *others = samples(trained(draws, networks, uneven, common))
        hits += within(of_difference(less, than, others))
    assert 0.935 < hits / REPEATED < 0.98


@pytest.mark.parametrize(("networks", "uneven"), [(1, 0.0), (5, 0.25), (14, 0.25)])
def test_means_too(networks: int, uneven: float) -> None:
    draws = np.random.default_rng(1)
    hits = 0
    for _ in range(REPEATED):
        own, *others = samples(trained(draws, networks, uneven))
        hits += within(of_mean(own, others), 8.0)
    assert 0.935 < hits / REPEATED < 0.98


@pytest.mark.parametrize("times", [2.0, 4.0, 8.0])
def test_a_network_that_spreads_far_more_is_judged_by_itself(times: float) -> None:
    draws = np.random.default_rng(2)
    hits = 0
    for _ in range(REPEATED):
        values = trained(draws, 14, 0.25)
        values[0] = 8 + times * (values[0] - 8)
        less, than, *others = samples(values)
        hits += within(of_difference(less, than, others))
    assert hits / REPEATED > 0.89


def test_others_make_smaller_differences_decidable() -> None:
    """Of two points, where one network's seeds spread by a point, that is."""
    draws = np.random.default_rng(3)
    alone = together = 0
    for _ in range(REPEATED):
        values = 16 + draws.normal(0, 1, (14, 3))
        values[1] += 2
        less, than, *others = samples(values)
        alone += not within(of_difference(less, than))
        together += not within(of_difference(less, than, others))
    assert alone / REPEATED < 0.35
    assert together / REPEATED > 0.45


def test_networks_that_failed_lend_nothing() -> None:
    less, than = samples(np.array([[8.0, 8.4, 8.1], [8.9, 8.8, 9.2]]))
    failed = samples(np.array([[90.0, 60.0, 75.0], [90.0, 90.0, 90.0]]))
    assert of_difference(less, than, failed) == of_difference(less, than)
    assert of_mean(less, failed) == of_mean(less)


def test_one_network_under_two_names_lends_once() -> None:
    less, than, *others = samples(trained(np.random.default_rng(4), 4, 0.0))
    once = of_difference(less, than, others)
    assert once == of_difference(less, than, [*others, *others, less])
    assert once != of_difference(less, than)


def missing(*places: int) -> Sample:
    wrong = np.zeros(100, bool)
    wrong[list(places)] = True
    return Sample({0: float(wrong.sum()), 1: float(wrong.sum())}, {0: wrong, 1: wrong})


def test_the_choice_of_pictures_counts_too() -> None:
    """Two seeds that differ by the same one picture of 100 say nothing of other pictures."""
    found = of_difference(missing(1), missing(1, 2))
    assert found is not None
    assert found.reach == pytest.approx(1.96 * 100 * np.sqrt(0.01 * 0.99 / 99), rel=1e-3)
    assert found.low < 0
    more = of_difference(missing(1), missing(*range(40)))
    assert more is not None
    assert more.low > 0


def test_equal_counts_of_other_pictures_are_no_equal_seeds() -> None:
    """Each seed misses ten, but others: their spread is not 0."""
    rows = {seed: np.roll(np.arange(100) < 10, 30 * seed) for seed in range(3)}
    found = of_mean(Sample(dict.fromkeys(range(3), 10.0), rows))
    assert found is not None
    assert found.reach > 2


def judged_networks(draws: Draws, pictures: int, networks: int = 6, seeds: int = 3) -> list[Sample]:
    """Networks that are all as good, each with pictures that are hard for it, as seeds of it miss them."""
    hard = draws.beta(0.15, 1.8, pictures)
    found = []
    for _ in range(networks):
        own = np.clip(hard + draws.normal(0, 0.15, pictures) * (draws.random(pictures) < 0.3), 0, 1)
        wrong = {seed: draws.random(pictures) < own for seed in range(seeds)}
        found.append(Sample({seed: 100 * float(each.mean()) for seed, each in wrong.items()}, wrong))
    return found


def test_with_seeds_and_pictures_differences_are_missed_no_more_often() -> None:
    draws = np.random.default_rng(5)
    hits = 0
    for _ in range(REPEATED // 2):
        less, than, *others = judged_networks(draws, 300)
        hits += within(of_difference(less, than, others))
    assert 0.94 < 2 * hits / REPEATED < 0.99


def test_where_no_picture_is_harder_their_choice_adds_nothing() -> None:
    rows = dict(enumerate(np.random.default_rng(6).random((3, 2000)) < 0.1))
    values = {seed: 100 * float(row.mean()) for seed, row in rows.items()}
    found, seeds_alone = of_mean(Sample(values, rows)), of_mean(Sample(values))
    assert found is not None
    assert seeds_alone is not None
    assert found.reach == pytest.approx(seeds_alone.reach, rel=0.02)
