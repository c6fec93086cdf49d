from collections import Counter
from typing import Any

import pytest

from residua.errors import UserError
from residua.lab.catalogue import NAMES, experiments
from residua.lab.claims import Claim, about, published
from residua.lab.experiment import Experiment
from residua.lab.results import counts


def claim(**values: Any) -> Claim:
    return Claim.read({"id": "x", "says": "It is so.", **values}, "mine")


@pytest.mark.parametrize(
    ("number", "value", "worth"),
    [
        ("6.61", 6.61, 0.01),
        ("0.27M", 270_000, 10_000),
        ("19.4M", 19_400_000, 100_000),
        ("3.8e9", 3.8e9, 1e8),
        ("152", 152, 1),
        ("1,179,648", 1_179_648, 1),
        ("0.0045", 0.0045, 0.0001),
    ],
)
def test_a_number_is_worth_what_is_printed(number: str, value: float, worth: float) -> None:
    assert claim(of="a", number=number).printed == pytest.approx((value, worth), rel=1e-12)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"of": "a", "number": "6.61 %"}, "number='6.61 %' of claim 'x' is not valid"),
        ({"of": "a", "number": True}, "number=True is not valid"),
        ({"number": "6.61"}, "does not say of which network"),
        ({"less": "a"}, "half an order"),
        ({"of": "a", "number": "1", "above": 2.0}, "several at once"),
        ({"off": "a"}, "unknown field of a claim 'off': did you mean of?"),
        ({"of": 3}, "of=3 is not valid"),
        ({"less": "a", "than": "a"}, "compares 'a' with itself"),
        ({"of": "a", "above": 5, "below": 2}, "is above 5 and below 2 at once"),
        ({"of": "a", "over": "b"}, "has `over` without a number"),
        ({"of": "a"}, "has `of` and nothing to judge it by"),
        ({"of": "a-{depth}", "number": "1"}, "has other braces than {shallow} and {deep}"),
        ({"of": "a-{deep[0]}", "number": "1"}, "has other braces than {shallow} and {deep}"),
        ({"of": "a", "number": "6e99999"}, "number='6e99999' of claim 'x' is not valid"),
        ({"of": "a", "number": "9" * 400}, "of claim 'x' is not valid"),
        ({"of": "a", "page": 16**6000}, "page=a number of thousands of digits is not valid"),
    ],
)
def test_what_is_no_claim_is_said_in_a_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        claim(**values)
    assert sentence in str(error.value)


def test_a_number_may_stand_without_quotes() -> None:
    assert claim(of="a", number=6.61).number == "6.61"
    assert claim(of="a", number=152).number == "152"
    assert claim(of="a", number=1.8e9).printed == (1.8e9, 1)


def test_what_a_user_claims_is_judged_everywhere() -> None:
    assert claim(of="a", number=1).everywhere
    assert not any(each.everywhere for each in about("shortcuts"))


def mine(*claims: dict[str, Any], **changes: Any) -> Experiment:
    given = [{"id": f"c{place}", "says": "It is so.", **each} for place, each in enumerate(claims)]
    networks = {"plain-{depth}": "cifar_plain{depth}", "one": "cifar_resnet8"}
    scales = {"quick": {"depths": [8, 14]}, "paper": {"depths": [20]}}
    whole = {"name": "mine", "title": "Mine", "networks": networks, "scales": scales, "claims": given}
    return Experiment.read({**whole, **changes})


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ([{"less": "onee", "than": "plain-8"}], "unknown network in claim 'c0' 'onee': did you mean one?"),
        ([{"less": "one", "than": "plane-{deep}"}], "'plane-14': did you mean plain-14"),
        ([{"of": "one", "over": "plain-9", "number": 1}], "unknown network in claim 'c0' 'plain-9'"),
        (
            [{"of": "one", "below": 5, "quantity": "eror"}],
            "unknown quantity in claim 'c0' 'eror': did you mean error",
        ),
        (
            [{"of": "one", "below": 5, "quantity": "lesions.one_removed"}],
            "write a line `measurements: [lesions]`",
        ),
        (
            [{"id": "c1", "less": "one", "than": "plain-8"}, {"of": "one", "below": 5}],
            "two claims are called 'c1'",
        ),
    ],
)
def test_a_claim_of_what_there_is_not_is_said_before_anything_is_trained(
    claims: list[dict[str, Any]], sentence: str
) -> None:
    with pytest.raises(UserError) as error:
        mine(*claims)
    assert sentence in str(error.value)


def test_a_claim_may_be_about_networks_of_some_scale_only() -> None:
    made = mine(
        {"less": "plain-{shallow}", "than": "plain-20"},
        {"of": "plain-8", "below": 5, "quantity": "lesions.one_removed"},
        {"of": "resnet-1202", "number": 7.93, "trained": False},
        measurements=("lesions",),
    )
    assert len(made.claims) == 3


def test_every_published_claim_says_where_it_stands() -> None:
    assert {claim.experiment for claim in published()} == {*NAMES}
    for each in published():
        assert each.place or each.ours or each.source in ("arithmetic", "torchvision"), each.id
    told = [each for each in published() if not each.trained]
    assert {each.id for each in told} == {
        each.id
        for each in published()
        if each.classes == 1000 or each.of == "resnet-1202" or "one layer a unit" in (each.of or "")
    }


def test_bounds_that_no_paper_prints_are_ours() -> None:
    """The papers print bounds of errors only: "fails, above 20%", "above 60%"."""
    theirs = {each.id for each in published() if each.bounded and not each.ours}
    assert theirs == {each.id for each in published() if each.bounded and each.quantity == "error"}
    assert all(each.above in (20, 60) for each in published() if each.id in theirs)


def test_the_rows_of_the_papers_tables_are_there() -> None:
    tables = Counter(
        (each.source, each.place, each.quantity) for each in published() if each.number or each.bounded
    )
    assert tables["v1", "Table 2", "error"] == 4
    assert tables["v1", "Table 3", "error"] == 6
    assert tables["v1", "Table 6", "error"] == tables["v1", "Table 6", "parameters"] == 6
    assert tables["v1", "Table 1", "multiply_adds"] == 5
    assert tables["v2", "Table 1", "error"] == 14
    assert tables["v2", "Table 2", "error"] == 10
    assert tables["v2", "Table 3", "error"] == 12
    assert [each.id for each in about("tables") if each.elsewhere] == ["two-3x3"]


def test_a_table_or_figure_of_the_first_two_papers_has_its_page() -> None:
    places: dict[tuple[str, str], set[int | None]] = {}
    for each in published():
        if each.source in ("v1", "v2") and each.place.startswith(("Table", "Figure")):
            places.setdefault((each.source, each.place), set()).add(each.page)
    assert len(places) >= 9 and all(len(pages) == 1 and None not in pages for pages in places.values())


def test_every_published_network_is_held_against_its_depth() -> None:
    (tables,) = (each for each in experiments() if each.name == "tables")
    claimed = {each.of for each in tables.claims if each.quantity == "depth"}
    assert claimed == {label for label in tables.networks if "," not in label and " of " not in label}
    sized = {each.of for each in tables.claims if each.quantity == "parameters"}
    assert sized >= {f"resnet-{depth}" for depth in (18, 34, 50, 101, 152)}


@pytest.mark.parametrize("scale", ["quick", "small", "paper"])
def test_bottlenecks_are_held_against_basic_units_of_equal_cost(scale: str) -> None:
    (made,) = (each for each in experiments() if each.name == "bottleneck")
    cost = {member.label: counts(member.spec)["multiply_adds"] for member in made.members(scale)}
    assert cost["stride on the 1x1"] / cost["basic"] == pytest.approx(1, abs=0.05)
    assert cost["stride on the 3x3"] / cost["stride on the 1x1"] == pytest.approx(1, abs=0.1)


def test_every_exclusive_bias_that_is_trained_is_claimed() -> None:
    (made,) = (each for each in experiments() if each.name == "shortcuts")
    claimed = {each.of for each in made.claims}
    assert {member.label for member in made.members("paper")} == claimed - {None}
