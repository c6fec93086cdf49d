from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from residua.lab.claims import Claim
from residua.lab.verdicts import (
    STUDENT,
    Sample,
    interval,
    judged_bound,
    judged_number,
    judged_order,
)


def claim(**values: Any) -> Claim:
    return Claim(id="x", experiment="mine", says="It is so.", **values)


def sample(*values: float) -> Sample:
    return Sample(dict(enumerate(values)))


ORDER = claim(less="a", than="b")


def test_the_quantiles_are_students() -> None:
    exact = [stats.t.ppf(0.975, degrees) for degrees in range(1, 31)]
    assert np.allclose(STUDENT, exact, atol=1e-3)
    assert all(table >= real for table, real in zip(STUDENT, exact, strict=True))


def test_an_interval_of_seeds_is_students() -> None:
    values = [8.1, 8.9, 8.4, 8.6]
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert interval(values) == pytest.approx((low, high), rel=1e-3)


@pytest.mark.parametrize(
    ("less", "than", "word"),
    [
        ((8.0, 8.2, 8.1), (9.0, 9.3, 9.1), "holds"),
        ((9.0, 9.3, 9.1), (8.0, 8.2, 8.1), "does not hold"),
        ((8.0, 9.0, 8.5), (8.4, 8.6, 8.8), "not decided"),
        ((8.0, 18.0, 12.0), (9.0, 19.1, 13.1), "holds"),  # seeds differ much, but alike
        ((8.0,), (9.0,), "not decided"),
        ((), (9.0,), "not judged"),
    ],
)
def test_an_order_is_judged_by_pairs(less: tuple[float, ...], than: tuple[float, ...], word: str) -> None:
    assert judged_order(ORDER, sample(*less), sample(*than)).word == word


VALUES = st.lists(st.floats(0, 100, width=32), min_size=2, max_size=6)


@given(VALUES, VALUES)
def test_the_order_turned_round_is_judged_the_other_way(some: list[float], others: list[float]) -> None:
    less, than = sample(*some), sample(*others)
    turned = {"holds": "does not hold", "does not hold": "holds"}
    word = judged_order(ORDER, less, than).word
    assert judged_order(ORDER, than, less).word == turned.get(word, word)


@given(VALUES, st.floats(0.01, 50))
def test_pairs_take_out_what_seeds_have_in_common(some: list[float], ahead: float) -> None:
    """A difference that is the same for every seed holds, whatever the seeds themselves do."""
    assert judged_order(ORDER, sample(*some), sample(*(value + ahead for value in some))).word == "holds"


def test_only_seeds_that_both_have_make_pairs() -> None:
    verdict = judged_order(ORDER, Sample({0: 1.0, 1: 1.1, 2: 1.0}), Sample({1: 3.0, 2: 3.1, 5: 9.0}))
    assert verdict.n == 2
    assert verdict.measured == pytest.approx(2.0)


def test_the_choice_of_pictures_counts_too() -> None:
    """Two seeds that differ by the same one picture of 100 say nothing of other pictures."""

    def missing(*places: int) -> Sample:
        wrong = np.zeros(100, bool)
        wrong[list(places)] = True
        return Sample({0: float(wrong.sum()), 1: float(wrong.sum())}, {0: wrong, 1: wrong})

    few = judged_order(ORDER, missing(1), missing(1, 2))
    assert few.word == "not decided"
    low, high = few.interval or (0, 0)
    assert (high - low) / 2 == pytest.approx(1.96 * 100 * np.sqrt(0.01 * 0.99 / 99), rel=1e-3)
    assert judged_order(ORDER, missing(1), missing(*range(40))).word == "holds"


@pytest.mark.parametrize(
    ("values", "spread", "word"),
    [
        ((6.6, 6.7, 6.5, 6.6), 0.0, "holds"),
        ((7.0, 7.1, 7.0, 7.05), 0.0, "does not hold"),
        ((6.78, 6.77, 6.76, 6.77), 0.16, "holds"),
        ((6.6, 9.9, 3.1), 0.0, "not decided"),  # the interval holds the number, and nearly all others
        ((6.61,), 0.0, "not decided"),
        ((), 0.0, "not judged"),
    ],
)
def test_a_number_is_judged_by_the_interval(values: tuple[float, ...], spread: float, word: str) -> None:
    assert judged_number(claim(of="a", number="6.61", spread=spread), sample(*values)).word == word


@pytest.mark.parametrize(
    ("value", "word"), [(1_727_962, "holds"), (1_650_000, "holds"), (1_600_000, "does not hold")]
)
def test_what_is_counted_is_judged_by_the_digits_printed(value: float, word: str) -> None:
    counted = claim(of="a", quantity="parameters", number="1.7M")
    assert judged_number(counted, sample(value)).word == word


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ((30.0, 32.0, 31.0), "holds"),
        ((10.0, 11.0, 10.5), "does not hold"),
        ((19.0, 23.0, 20.0), "not decided"),
    ],
)
def test_a_bound_is_judged_by_the_side_of_the_interval(values: tuple[float, ...], word: str) -> None:
    assert judged_bound(claim(of="a", above=20.0), sample(*values)).word == word
    mirrored = sample(*(40 - value for value in values))
    assert judged_bound(claim(of="a", below=20.0), mirrored).word == word


def test_an_order_holds_by_chance_alone_in_one_case_of_twenty() -> None:
    """Of pairs without any difference, about 2.5% are said to hold, and as many not to."""
    generator = np.random.default_rng(0)
    words = [
        judged_order(ORDER, sample(*generator.normal(8, 1, 3)), sample(*generator.normal(8, 1, 3))).word
        for _ in range(2000)
    ]
    assert 0.035 < 1 - words.count("not decided") / 2000 < 0.065
