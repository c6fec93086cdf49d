"""Evaluation from end to end: every picture once, classes by name, and everything that is found told."""

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn import metrics as oracle
from torch import Tensor

import residua
from judging.small import GRAY, model, outcomes, pictures
from residua.data.dataset import Data
from residua.data.sources.recognition import open_data
from residua.data.splitting import write_split
from residua.errors import UserError
from residua.judging.comparison import Comparison, compare
from residua.judging.evaluated import Evaluation
from residua.judging.evaluation import evaluate, judging
from residua.judging.model import Model
from residua.judging.showing.samples import choose_samples
from residua.weights.preprocessing import preprocess

CLASSES = "abcdefg"


def answers(judged: Model, data: Data) -> Tensor:
    """Ask the network the plain way."""
    rows = np.stack([data.read(place, "gray") for place in range(len(data))])
    with torch.inference_mode():
        answer: Tensor = judged.network(preprocess(torch.from_numpy(rows).permute(0, 3, 1, 2), GRAY))
    return answer


@pytest.mark.parametrize("batch", [1, 5, 16, 41, 100])
def test_every_picture_is_counted_once_whatever_the_batch(batch: int) -> None:
    judged, data = model(CLASSES), pictures(41, CLASSES)
    found = evaluate(judged, data, batch=batch, workers=0)
    scores = answers(judged, data).double().softmax(1).numpy()
    every = np.arange(len(CLASSES))
    assert found.samples == 41
    assert list(found.outcomes.names) == list(data.names)
    assert found.top1 == pytest.approx(100 * oracle.accuracy_score(data.labels, scores.argmax(1)))
    top5 = oracle.top_k_accuracy_score(data.labels, scores, k=5, labels=every)
    assert found.top5 == pytest.approx(100 * top5)
    assert found.loss == pytest.approx(oracle.log_loss(data.labels, scores, labels=every), rel=1e-4)
    np.testing.assert_array_equal(
        found.confusion, oracle.confusion_matrix(data.labels, scores.argmax(1), labels=every)
    )


def test_classes_are_matched_by_name_in_whatever_order() -> None:
    judged = model(CLASSES)
    data = pictures(41, CLASSES)
    order = np.array([3, 1, 0, 2, 6, 5, 4], np.int32)
    turned = replace(
        data,
        classes=tuple(CLASSES[place] for place in order),
        labels=np.argsort(order)[data.labels].astype(np.int32),
    )
    assert [turned.classes[label] for label in turned.labels] == [
        data.classes[label] for label in data.labels
    ]
    assert evaluate(judged, turned).as_json() == evaluate(judged, data).as_json()


def test_data_of_few_of_the_classes_is_judged() -> None:
    found = evaluate(model(CLASSES), pictures(9, "ca"))
    supports = {row.name: row.support for row in found.per_class}
    assert supports == {**dict.fromkeys(CLASSES, 0), "c": 5, "a": 4}
    absent = [row for row in found.per_class if not row.support]
    assert all(row.recall is None for row in absent)
    assert found.confusion is not None
    assert found.confusion.sum() == 9


def test_an_unknown_class_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    judged = model(["daisy", "tulip"])
    data = pictures(4, ["daisy", "tulips"])
    with pytest.raises(UserError, match=r"'tulips' \(did you mean 'tulip'\?\)"):
        evaluate(judged, data)
    mapped = evaluate(judged, data, class_map={"tulips": "tulip"})
    assert [row.support for row in mapped.per_class] == [2, 2]
    (tmp_path / "map.csv").write_text("folder,class\ntulips,tulip\n")
    assert evaluate(judged, data, class_map=tmp_path / "map.csv").as_json() == mapped.as_json()
    (tmp_path / "map.csv").write_text("folder,class\ntulisp,tulip\n")
    with pytest.raises(UserError, match="did you mean 'tulips'"):
        evaluate(judged, data, class_map=tmp_path / "map.csv")


def test_a_model_of_nameless_classes_is_judged_by_their_numbers() -> None:
    named = model("01")
    judged = Model(named.network, replace(named.metadata, classes=None))
    assert evaluate(judged, pictures(4, "10")).samples == 4
    with pytest.raises(UserError, match="convert --classes"):
        evaluate(judged, pictures(4, "ab"))


def test_classes_of_one_name_are_told_apart_by_their_ids() -> None:
    judged = model(["n1", "n2"])
    entries = tuple(replace(entry, name="crane") for entry in judged.classes or ())
    twins = Model(judged.network, replace(judged.metadata, classes=entries))
    found = evaluate(twins, pictures(4, ["n2", "n1"]))
    assert found.outcomes.classes == ("crane (n1)", "crane (n2)")
    assert found.outcomes.labels.tolist() == [1, 0, 1, 0]


def test_a_model_is_left_as_it_was() -> None:
    judged = model()
    judged.network.train()
    before = {name: tensor.clone() for name, tensor in judged.network.state_dict().items()}
    evaluate(judged, pictures(5))
    assert judged.network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in judged.network.state_dict().items())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"views": "ten"}, "views"),
        ({"batch": 0}, "batch"),
        ({"mistakes": -1}, "mistakes"),
        ({"workers": -1}, "workers"),
        ({"device": "tpu"}, "device"),
        ({"part": "val"}, "no pictures in val"),
        ({"root": "."}, "root='.' is not valid: the pictures are chosen already"),
        ({"max_bad": 7}, "max_bad=7"),
    ],
)
def test_what_is_not_valid_is_said(options: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        evaluate(model(), pictures(4), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"part": "nonsense"}, {"split": "nowhere"}, {"root": "."}, {"max_bad": 7}]
)
def test_what_would_choose_pictures_is_refused_where_they_are_chosen(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"{next(iter(options))}=.* chosen already"):
        evaluate(model(), choose_samples(pictures(4)), **options)


def test_a_model_that_nobody_can_show_pictures_is_refused() -> None:
    judged = model()
    with pytest.raises(UserError, match="convert --preprocess"):
        evaluate(Model(judged.network, replace(judged.metadata, preprocessing=None)), pictures(4))


def test_a_network_that_answers_no_number_is_refused(tmp_path: Path) -> None:
    judged = model()
    with torch.no_grad():
        judged.network.get_parameter("fc.bias")[0] = torch.nan
    with pytest.raises(UserError, match=r"^the network's answer to '0.png' is no number"):
        evaluate(judged, pictures(4))
    file = residua.save(judged, tmp_path / "odd.safetensors")
    with pytest.raises(UserError, match=r"odd.safetensors: the network's answer"):
        judging([model(), file], pictures(4), device="cpu").decoded().judged()


def test_the_temperature_of_the_model_changes_probabilities_and_no_guess() -> None:
    cold, data = model(CLASSES), pictures(41, CLASSES)
    warm = evaluate(model(CLASSES, temperature=4.0), data)
    found = evaluate(cold, data)
    assert warm.top1 == found.top1
    assert warm.outcomes.chances[:, 0].mean() < found.outcomes.chances[:, 0].mean()
    assert warm.calibration.best_temperature == found.calibration.best_temperature
    expected = (answers(cold, data).double() / 4).softmax(1).max(1).values
    np.testing.assert_allclose(warm.outcomes.chances[:, 0], expected.numpy(), rtol=1e-4)


def test_one_picture_is_enough() -> None:
    found = evaluate(model(), pictures(1, "a"))
    assert found.top1 in (0.0, 100.0)
    assert found.intervals["loss"] is None
    assert found.calibration.best_temperature is None
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["samples"] == 1


def test_the_json_says_all_that_it_promises() -> None:
    found = evaluate(model(CLASSES), pictures(41, CLASSES), views="flip", mistakes=3)
    said = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert (said["samples"], said["part"], said["views"]) == (41, "all", "flip")
    assert said["top1"] == found.top1
    assert said["ece"] == said["calibration"]["ece"]
    assert [row["name"] for row in said["per_class"]] == list(CLASSES) == said["classes"]
    assert np.array(said["confusion"]).sum() == 41
    assert len(said["mistakes"]) == 3
    assert set(said["mistakes"][0]) == {"path", "label", "predicted", "probability", "own", "loss"}
    assert said["intervals"]["top1"][0] <= said["top1"] <= said["intervals"]["top1"][1]
    assert sum(each["count"] for each in said["calibration"]["bins"]) == 41


def test_few_classes_have_no_top5() -> None:
    found = evaluate(model(), pictures(9))
    assert (found.top5, found.intervals["top5"]) == (None, None)


def test_the_table_has_every_picture_and_loses_no_name(tmp_path: Path) -> None:
    data = pictures(
        7, CLASSES, names=["=cmd.png", "a,b.png", "\udcff.png", 'q"t.png', "n\nl.png", "é.png", "x.png"]
    )
    found = evaluate(model(CLASSES), data)
    found.write_csv(tmp_path / "predictions.csv")
    with (tmp_path / "predictions.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"].removeprefix("'") for row in rows] == list(data.names)
    assert [row["label"] for row in rows] == list(CLASSES)
    assert 100 * np.mean([row["correct"] == "true" for row in rows]) == pytest.approx(found.top1)
    for row, chances in zip(rows, found.outcomes.chances, strict=True):
        assert (row["predicted"] == row["label"]) == (row["correct"] == "true")
        shown = [row["probability"], *(row[f"probability{place}"] for place in range(2, 6))]
        np.testing.assert_allclose([float(each) for each in shown], chances, rtol=1e-5)


def test_a_file_is_judged_as_its_model_is(tmp_path: Path) -> None:
    judged = model()
    path = residua.save(judged, tmp_path / "model.safetensors")
    found = residua.evaluate(path, pictures(9), device="cpu")
    same = {"model": "", "digest": None}
    assert found.as_json() | same == evaluate(judged, pictures(9)).as_json() | same
    assert (found.model, found.digest) == (str(path), residua.load(path).digest)


@pytest.mark.parametrize(
    "options",
    [
        {"model": 5},
        {"data": 5},
        {"mistakes": 2.5},
        {"batch": "a"},
        {"max_bad": "x"},
        {"workers": 1.5},
        {"views": 3},
        {"part": 1},
        {"split": 2},
        {"device": 0},
        {"class_map": ["a"]},
        {"class_map": {"a": 5}},
        {"root": 1},
    ],
)
def test_what_is_of_no_valid_type_is_one_sentence(options: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"model": model(), "data": pictures(4)} | options
    with pytest.raises(UserError, match=f"^{next(iter(options))}=.* is not valid: valid "):
        evaluate(asked.pop("model"), asked.pop("data"), **asked)


def test_a_class_map_of_classes_that_are_not_there_is_refused(tmp_path: Path) -> None:
    judged, data = model(["daisy", "tulip"]), pictures(4, ["daisy", "tulip"])
    (tmp_path / "map.csv").write_text("folder,class\ntulisp,tulip\n")
    said = "maps 'tulisp', which is no class of the data: did you mean 'tulip'?"
    for class_map, name in (({"tulisp": "tulip"}, "class_map"), (tmp_path / "map.csv", tmp_path / "map.csv")):
        with pytest.raises(UserError, match=re.escape(f"{name} {said}")):
            evaluate(judged, data, class_map=class_map)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve pictures in three classes."""
    monkeypatch.setenv("RESIDUA_CACHE", str(tmp_path / "cache"))
    data = pictures(12)
    for place, name in enumerate(data.names):
        folder = tmp_path / "photos" / data.classes[data.labels[place]]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(data.read(place, "gray")[..., 0]).save(folder / name)
    return tmp_path / "photos"


def vanish(photos: Path) -> None:
    (photos / "a/3.png").unlink()


def ruin(photos: Path) -> None:
    (photos / "a/3.png").write_bytes(b"no picture")


def swap(photos: Path) -> None:
    (photos / "a/3.png").write_bytes((photos / "b/1.png").read_bytes())


@pytest.mark.parametrize("harm", [vanish, ruin, swap])
@pytest.mark.parametrize("views", ["one", "ten-crop"])
def test_a_picture_that_is_lost_meanwhile_is_named_and_not_counted(
    photos: Path, harm: Callable[[Path], None], views: str
) -> None:
    judged, samples = model(), choose_samples(photos)
    before = evaluate(judged, samples, views=views).outcomes
    harm(photos)
    found = evaluate(judged, samples, views=views, batch=5)
    assert [each.path for each in found.bad] == ["a/3.png"]
    assert list(found.outcomes.names) == [name for name in before.names if name != "a/3.png"]
    good = [name != "a/3.png" for name in before.names]
    np.testing.assert_array_equal(found.outcomes.labels, before.labels[good])
    np.testing.assert_allclose(found.outcomes.losses, before.losses[good], rtol=1e-3, atol=1e-4)
    assert (found.samples, found.calibration.fitted, len(found.bad)) == (11, 11, 1)


def test_where_too_many_are_lost_meanwhile_nothing_is_said(photos: Path) -> None:
    samples = choose_samples(photos)
    shutil.rmtree(photos / "a")
    with pytest.raises(UserError, match=r"4 of 12 pictures .* cannot be read"):
        evaluate(model(), samples)


def test_what_one_model_cannot_be_shown_counts_for_none(photos: Path) -> None:
    asked = judging([model(), model(stem_width=3)], photos).decoded()
    told: list[tuple[int, int]] = []

    def lose(done: int, count: int) -> None:
        told.append((done, count))
        (photos / "a/3.png").unlink(missing_ok=True)  # once the first has seen all of them

    first, second = asked.judged(lose)
    assert list(first.outcomes.names) == list(second.outcomes.names)
    assert first.bad == second.bad and [each.path for each in first.bad] == ["a/3.png"]
    assert compare(first, second).samples == 11
    assert told == [(12, 24), (24, 24)]


def test_lost_training_pictures_are_no_longer_counted(photos: Path) -> None:
    data = open_data(photos)
    write_split(photos / "split.csv", replace(data, parts=np.zeros(12, np.int8)))
    samples = choose_samples(photos, part="all", split=photos / "split.csv")
    vanish(photos)
    assert (samples.learned, evaluate(model(), samples).learned) == (12, 11)


def test_why_no_temperature_fits_is_said() -> None:
    base = evaluate(model("ab"), pictures(4, "a"))
    none = replace(base.calibration, best_temperature=None)
    right, wrong = (
        replace(base, calibration=replace(none, colder_is_better=each)).why_no_temperature or ""
        for each in (True, False)
    )
    assert right.startswith("no wrong class is held likelier than the true one")
    assert wrong.startswith("the scores say nothing")
    some = replace(base, calibration=replace(none, fitted=1)).why_no_temperature or ""
    assert some.startswith("of the pictures looked at (1) ")


def judged_so(right: list[bool]) -> Evaluation:
    """An evaluation that is right just there."""
    base = evaluate(model("ab"), pictures(len(right), "a"))
    said = outcomes([[1.0, 0.0] if each else [0.0, 1.0] for each in right], [0] * len(right))
    return replace(base, outcomes=said)


def test_models_are_compared_picture_by_picture() -> None:
    first = judged_so([True] * 20 + [False] * 20)
    second = judged_so([True] * 19 + [False] + [True] * 12 + [False] * 8)
    found = compare(first, second)
    counts = (found.both_right, found.only_first_right, found.only_second_right, found.both_wrong)
    assert counts == (19, 1, 12, 8)
    assert found.difference == pytest.approx(27.5)
    assert found.is_real
    assert found.sentence.startswith("The second model is better by 27.50 points")
    assert found.interval[0] > 0
    turned = compare(second, first)
    assert turned.sentence.startswith("The first model is better by 27.50 points")
    assert compare(first, first).p == compare(first, first).mid_p == 1.0
    assert compare(first, first).sentence.startswith("No real difference was found: +0.00 points")
    said = json.loads(json.dumps(found.as_json()))
    assert (said["is_real"], said["samples"], said["difference"]) == (True, 40, found.difference)
    assert said["p"] == pytest.approx(0.00342, rel=0.01) and said["mid_p"] < said["p"]


def test_few_pictures_are_enough_where_all_say_the_same() -> None:
    found = Comparison(40, 0, 5, 5)
    assert found.p == 0.0625 and found.is_real
    assert found.sentence.startswith(
        "The second model is better by 10.00 points (95%: +0.53 to +20.77 points, mid-p = 0.031"
    )


def tables(count: int) -> Iterator[Comparison]:
    """Every way in which two models can be right and wrong of so many pictures."""
    for first, second in product(range(count + 1), repeat=2):
        for both in range(count + 1 - first - second):
            yield Comparison(both, first, second, count - both - first - second)


@pytest.mark.parametrize(("count", "doubtful"), [(5, 0.15), (12, 0.06), (20, 0.04)])
def test_a_comparison_never_contradicts_its_figures(count: int, doubtful: float) -> None:
    number, edges, every = r"(-|\+)?\d+(\.\d+)?(e-\d+)?", 0, 0
    for found in tables(count):
        figures = re.search(
            rf"95%: (?P<low>{number}) to (?P<high>{number}) .* (?P<p>{number})\)", found.sentence
        )
        assert figures, found.sentence
        low, high, p = (float(figures[name]) for name in ("low", "high", "p"))
        excluded, rare = low > 0 or high < 0, p < 0.05
        assert found.is_real == (excluded and rare)
        opening = (
            "No real difference"
            if not excluded and not rare
            else f"The {'second' if found.difference > 0 else 'first'} model"
        )
        assert found.sentence.startswith(opening), found.sentence
        assert ("on the edge" in found.sentence) == (excluded != rare)
        edges, every = edges + (excluded != rare), every + 1
    assert edges < doubtful * every


def test_models_judged_by_different_pictures_are_not_compared() -> None:
    with pytest.raises(UserError, match="different pictures"):
        compare(judged_so([True]), judged_so([True, False]))
