from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from residua.lab.chance import Sample
from residua.lab.claims import Claim
from residua.lab.verdicts import judged_bound, judged_number, judged_order


def claim(**values: Any) -> Claim:
    return Claim(id="x", experiment="mine", says="It is so.", **values)


def sample(*values: float) -> Sample:
    return Sample(dict(enumerate(values)))


ORDER = claim(less="a", than="b")


@pytest.mark.parametrize(
    ("less", "than", "word"),
    [
        ((8.0, 8.2, 8.1), (9.0, 9.3, 9.1), "holds"),
        ((9.0, 9.3, 9.1), (8.0, 8.2, 8.1), "does not hold"),
        ((8.0, 9.0, 8.5), (8.4, 8.6, 8.8), "not decided"),
        ((8.0, 18.0, 12.0), (9.0, 19.1, 13.1), "holds"),  # seeds differ much, but alike
        ((8.0,), (9.0,), "not decided"),
        ((8.9385, 8.9385), (10.0559, 10.0559), "not decided"),  # counts that coincide
        ((5, 5, 5), (6, 6, 6), "not decided"),
        ((0.1, 0.2, 0.3), (1.1, 1.2, 1.3), "not decided"),  # the same but for rounding
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
    """A difference that is nearly the same for every seed holds, whatever the seeds themselves do."""
    than = [value + ahead * (1 + 0.01 * (place % 2)) for place, value in enumerate(some)]
    assert judged_order(ORDER, sample(*some), sample(*than)).word == "holds"


def test_only_seeds_that_both_have_make_pairs() -> None:
    verdict = judged_order(ORDER, Sample({0: 1.0, 1: 1.1, 2: 1.0}), Sample({1: 3.0, 2: 3.1, 5: 9.0}))
    assert verdict.n == 2
    assert verdict.measured == pytest.approx(2.0)


def test_what_could_have_been_decided_is_said() -> None:
    verdict = judged_order(ORDER, sample(8.0, 9.0, 8.5), sample(8.4, 8.6, 8.8))
    low, high = verdict.interval or (0, 0)
    assert f"a difference of {(high - low) / 2:.2g} or less would not have been decided" in verdict.why


def test_other_networks_decide_what_three_pairs_cannot() -> None:
    less, than = sample(8.0, 8.4, 8.1), sample(8.9, 8.8, 9.2)
    others = [sample(9.1, 9.4, 9.2), sample(7.7, 8.0, 8.0), sample(8.5, 8.4, 8.2), sample(9.9, 9.5, 9.6)]
    assert judged_order(ORDER, less, than).word == "not decided"
    assert judged_order(ORDER, less, than, others).word == "holds"
    bound = claim(of="a", below=8.6)
    assert judged_bound(bound, less).word == "not decided"
    assert judged_bound(bound, less, others).word == "holds"


@pytest.mark.parametrize(
    ("number", "values", "settled", "word"),
    [
        ("6.61", (6.6, 6.7, 6.5, 6.6), {}, "holds"),
        ("6.61", (7.0, 7.1, 7.0, 7.05), {}, "does not hold"),
        ("6.61", (6.78, 6.77, 6.76, 6.77), {}, "does not hold"),
        ("6.61", (6.78, 6.77, 6.76, 6.77), {"spread": 0.16}, "holds"),
        ("6.61", (6.78, 6.77, 6.76, 6.77), {"allowed": 0.2}, "holds"),
        ("6.61", (6.6, 9.9, 3.1), {}, "not decided"),  # the interval holds the number, and nearly all others
        ("6.61", (6.61,), {}, "not decided"),
        ("6.61", (), {}, "not judged"),
        ("0.0045", (0.0001, 0.3, 0.02), {"quantity": "paths.effective_share"}, "not decided"),
        ("0.0045", (0.0, 0.02, 0.4), {"quantity": "paths.effective_share"}, "not decided"),
        ("0.0045", (0.0044, 0.0045, 0.0046), {"quantity": "paths.effective_share"}, "holds"),
        ("5", (5, 5, 5), {"quantity": "paths.effective_low"}, "not decided"),
    ],
)
def test_a_number_is_judged_by_the_interval(
    number: str, values: tuple[float, ...], settled: dict[str, Any], word: str
) -> None:
    assert judged_number(claim(of="a", number=number, **settled), sample(*values)).word == word


def test_a_number_without_a_spread_says_what_is_taken_for_it() -> None:
    verdict = judged_number(claim(of="a", number="6.61", allowed=0.2), sample(6.6, 6.7, 6.5))
    assert verdict.why == "the interval reaches the paper's value ± 0.2, as it states no spread"


@pytest.mark.parametrize(
    ("number", "value", "word"),
    [
        ("1.7M", 1_727_962, "holds"),
        ("1.7M", 1_650_000, "holds"),
        ("1.7M", 1_600_000, "does not hold"),
        ("1.8e9", 1.701e9, "does not hold"),  # no rounding makes it 1.8
        ("1.8e9", 1.8999e9, "holds"),  # cut off
        ("1.8e9", 1.9e9, "does not hold"),
        ("0.27M", 260_100, "does not hold"),
        ("0.27M", 265_000, "holds"),
        ("152", 152, "holds"),
        ("152", 151, "does not hold"),
    ],
)
def test_what_is_counted_is_judged_by_the_digits_printed(number: str, value: float, word: str) -> None:
    counted = claim(of="a", quantity="parameters", number=number)
    assert judged_number(counted, sample(value)).word == word


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ((30.0, 32.0, 31.0), "holds"),
        ((10.0, 11.0, 10.5), "does not hold"),
        ((19.0, 23.0, 20.0), "not decided"),
        ((32.0, 32.0, 32.0), "not decided"),
    ],
)
def test_a_bound_is_judged_by_the_side_of_the_interval(values: tuple[float, ...], word: str) -> None:
    assert judged_bound(claim(of="a", above=20.0), sample(*values)).word == word
    mirrored = sample(*(40 - value for value in values))
    assert judged_bound(claim(of="a", below=20.0), mirrored).word == word


@pytest.mark.parametrize(("value", "word"), [(269_722, "holds"), (1_000_000, "does not hold")])
def test_a_bound_of_what_is_counted_needs_no_repetition(value: float, word: str) -> None:
    found = judged_bound(claim(of="a", quantity="parameters", below=300_000.0), sample(value))
    assert (found.word, found.why) == (word, "as counted")


def test_a_network_that_always_fails_alike_is_judged_by_its_pictures() -> None:
    wrong = np.arange(1000) % 10 > 0
    stuck = Sample(dict.fromkeys(range(3), 90.0), dict.fromkeys(range(3), wrong))
    assert judged_bound(claim(of="a", above=20.0), stuck).word == "holds"
