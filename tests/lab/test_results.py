from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.sweeping import TINY, experiment, packed_digits
from lab.told import write_lab
from residua.data.checking.checked import check
from residua.data.sources.digits import open_digits
from residua.lab.catalogue import experiment as named
from residua.lab.catalogue import experiments
from residua.lab.claims import COUNTED, ERRORS, QUANTITIES
from residua.lab.experiment import MEASUREMENTS, Experiment
from residua.lab.pictures import _cifar
from residua.lab.results import Results
from residua.lab.running import run_experiment
from residua.lab.trials import trials
from residua.lab.verdicts import Verdict


def by_id(found: Results) -> dict[str, Verdict]:
    return {verdict.claim.id: verdict for verdict in found.verdicts()}


def test_numbers_are_judged_by_pictures_such_as_the_papers_only(tmp_path: Path) -> None:
    found = write_lab(tmp_path, "degradation", "paper")
    assert by_id(found)["resnet-20"].word != "not judged"
    for other in (100, None):
        verdict = by_id(replace(found, cifar=other))["resnet-20"]
        assert (verdict.word, verdict.n) == ("not judged", 5)
        assert verdict.why == "CIFAR-10 is meant: 50,000 pictures of 32x32 in colour"
    quick = by_id(write_lab(tmp_path, "degradation"))["plain-deeper"]
    assert quick.word != "not judged"


def test_digits_and_few_pictures_are_no_cifar() -> None:
    digits = check(open_digits()).records
    assert _cifar(10, digits) is None
    gray = np.resize(digits, 50_000)
    gray["width"] = gray["height"] = 32
    coloured = gray.copy()
    coloured["traits"] = 0
    assert _cifar(10, gray) is None
    assert _cifar(10, coloured[:40_000]) is None
    assert _cifar(10, coloured) == 10


def test_what_no_experiment_trains_is_said(tmp_path: Path) -> None:
    found = by_id(write_lab(tmp_path, "degradation"))
    for claim in ("imagenet-resnet-34", "resnet-1202"):
        assert (found[claim].word, found[claim].why) == ("not judged", "no experiment trains it")
    assert found["resnet-32"].why == "resnet-32 is not trained at this scale"


@pytest.mark.parametrize("scale", ["quick", "small", "paper"])
def test_what_is_said_of_deep_networks_is_judged_by_those_only(tmp_path: Path, scale: str) -> None:
    found = by_id(write_lab(tmp_path, "depth", scale))
    for name in ("depth-deep", "depth-preactivated-deeper"):
        assert (found[name].word == "not judged") is (scale != "paper")
        if scale != "paper":
            assert found[name].why == "preactivated-1001 is not trained at this scale"


def test_an_order_of_networks_of_one_cost_says_what_they_cost(tmp_path: Path) -> None:
    found = by_id(write_lab(tmp_path, "bottleneck"))
    assert (
        "stride on the 1x1 has 1.04 times the multiply-adds of basic" in found["bottleneck-below-basic"].why
    )
    assert "1.05 times" in found["stride-3x3"].why
    uneven = replace(named("bottleneck"), scales={"quick": {"depths": {"basic": 8, "bottleneck": 11}}})
    made = Experiment(**{**vars(uneven), "name": "mine"})
    verdict = by_id(write_lab(tmp_path, made))["bottleneck-below-basic"]
    assert verdict.word == "not judged"
    assert verdict.why.startswith("stride on the 1x1 has 1.38 times the multiply-adds of basic")


def test_networks_are_counted_as_they_are_trained(tmp_path: Path) -> None:
    """A VGG of the zoo is one of 224 pixels and 1,000 classes, unless pictures decide."""
    vgg = write_lab(tmp_path, "lesions").counted["vgg"]
    assert (vgg["multiply_adds"], vgg["parameters"]) == (58_328_320, 1_293_546)
    assert write_lab(tmp_path, "tables").counted["vgg-16"]["multiply_adds"] == 15_470_264_320
    deep = {"network": "vgg16_bn", "convolutions": [1] * 6, "widths": [8] * 6, "hidden": 8}
    large = experiment(networks={"a": deep}, claims=[])
    assert write_lab(tmp_path, large).counted["a"]["depth"] == 9


def test_all_other_networks_tell_of_chance(tmp_path: Path) -> None:
    """The claim of an experiment's two networks is judged otherwise beside four more."""
    made = named("orders")
    few = replace(made, name="few", claims=(), networks=dict(list(made.networks.items())[:5]))
    claim = next(each for each in made.claims if each.id == "full-below-original")
    both = {label: network for label, network in few.networks.items() if label in (claim.less, claim.than)}
    pair = replace(few, name="pair", networks=both)
    found = [by_id(write_lab(tmp_path, replace(each, claims=(claim,))))[claim.id] for each in (few, pair)]
    assert all(verdict.interval for verdict in found)
    assert found[0].interval != found[1].interval


def test_the_document_counts_the_trainings() -> None:
    text = " ".join(Path(__file__).parents[2].joinpath("docs", "lab.md").read_text(encoding="utf-8").split())
    quick, small = (
        len({trial.digest for each in experiments() for _, trial in trials(each, scale, "made up")})
        for scale in ("quick", "small")
    )
    assert f"All experiments together are {quick} trainings at `quick`, and {small} at `small`." in text


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """One network of which everything is measured."""
    folder = tmp_path_factory.mktemp("lab")
    wide: dict[str, Any] = {**TINY, "network": "cifar_resnet14"}
    made = experiment(networks={"a": wide}, measurements=MEASUREMENTS, claims=[])
    return run_experiment(
        made, data=str(packed_digits(folder, 150)), out=folder, seeds=1, jobs=1, report=False
    )


def test_claims_know_every_quantity_that_is_measured(measured: Results) -> None:
    known = {f"{name}.{quantity}" for name, quantities in QUANTITIES.items() for quantity in quantities}
    unseen = {"lesions.swaps_rise"}  # there are too few units of one shape
    assert {*measured.quantities()} == (known | {*ERRORS}) - unseen
    assert not known & {*COUNTED}


@pytest.mark.parametrize(
    "quantity", ["error", "train_error", "lesions.one_removed", "statistics.momentum_0.1"]
)
def test_what_is_a_mean_over_pictures_is_known_by_picture(measured: Results, quantity: str) -> None:
    sample = measured.sample("a", quantity)
    assert sample.wrong is not None
    assert 100 * sample.wrong[0].mean() == pytest.approx(sample.values[0], abs=0.1)
