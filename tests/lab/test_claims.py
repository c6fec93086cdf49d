from collections import Counter
from typing import Any

import pytest

from residua.errors import UserError
from residua.lab.catalogue import experiments
from residua.lab.claims import Claim, about, published


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
        ({"number": "6.61"}, "does not say of which network"),
        ({"less": "a"}, "half an order"),
        ({"of": "a", "number": "1", "above": 2.0}, "several at once"),
        ({"off": "a"}, "unknown field of a claim 'off': did you mean of?"),
        ({"of": 3}, "of=3 is not valid"),
        ({"of": "a-{depth}", "number": "1"}, "has other braces than {shallow} and {deep}"),
    ],
)
def test_what_is_no_claim_is_said_in_a_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        claim(**values)
    assert sentence in str(error.value)


def test_every_published_claim_belongs_to_an_experiment_that_can_judge_it() -> None:
    labels = {
        each.name: {member.label for scale in ("quick", "small", "paper") for member in each.members(scale)}
        for each in experiments()
    }
    assert {claim.experiment for claim in published()} == labels.keys()
    for claim in published():
        assert claim.place or claim.source in ("arithmetic", "torchvision"), claim.id
        named = [label for label in (claim.of, claim.over, claim.less, claim.than) if label]
        for label in named:
            known = label in labels[claim.experiment] or "{" in label
            elsewhere = claim.classes == 1000 or label == "resnet-1202"  # ImageNet; and 19.4 M parameters
            assert known or elsewhere, f"{claim.id} speaks of {label}"


def test_the_rows_of_the_papers_tables_are_there() -> None:
    tables = Counter((claim.source, claim.place) for claim in published() if claim.number or claim.bounded)
    assert tables["v1", "Table 2"] == 4
    assert tables["v1", "Table 3"] == 6
    assert tables["v1", "Table 6"] == 6 + 6  # errors and parameters
    assert tables["v2", "Table 1"] == 12
    assert tables["v2", "Table 2"] == 10
    assert tables["v2", "Table 3"] == 11
    assert [claim.id for claim in about("tables") if claim.elsewhere] == ["two-3x3"]
