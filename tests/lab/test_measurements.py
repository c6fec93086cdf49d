"""What is measured of a trial that was really trained, on digits that lie class by class."""

import json
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

import residua
from lab.sweeping import experiment
from residua.data.dataset import Pixels
from residua.data.sources.digits import open_digits
from residua.errors import UserError
from residua.lab import taking
from residua.lab.bypicture import packed, unpacked
from residua.lab.carrying import carry_out, is_done
from residua.lab.inside.averages import Averages
from residua.lab.inside.gradients import gradients
from residua.lab.inside.lesions import LeftOut, Lesions
from residua.lab.inside.subject import subject
from residua.lab.measurements import FOLDER, HOW, by_picture, measure, read_measured, write_measured
from residua.lab.notes import NOTES, note, notes_of
from residua.lab.pictures import look_at
from residua.lab.trained import Trained
from residua.lab.trials import Trial, trials
from residua.text import finite
from residua.training.pictures.loaders import Loaders

LIMIT, BATCH = 120, 16
PLAIN = {"network": "cifar_plain14", "widths": [4, 8, 16], "stem_width": 4}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Trial, Trained]]:
    folder = tmp_path_factory.mktemp("trial")
    digits = open_digits()
    by_class = np.argsort(digits.labels, kind="stable")[::6]
    residua.pack(digits.keep(by_class), folder / "sorted.safetensors")
    where = str(folder / "sorted.safetensors")
    scales = {"quick": {"epochs": 1, "limit": LIMIT, "val": 0.3, "changes": {"batch": BATCH}}}
    made = experiment(networks={"a": PLAIN}, claims=[], scales=scales)
    ((_, trial),) = trials(made, "quick", look_at(where).digest, 1)
    carry_out(trial, trial.folder(folder), where, ["lesions"])
    run = trial.folder(folder)
    yield trial, Trained(run, look_at(where).parted(run))


def test_what_was_measured_in_another_way_is_measured_again(
    done: tuple[Trial, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, trained = done
    run = trained.run
    before = read_measured(run, "error")
    assert before and is_done(run, trial, ["lesions"])
    monkeypatch.setitem(HOW, "error", HOW["error"]._replace(version=7))
    assert read_measured(run, "error") is None and not is_done(run, trial, ["lesions"])
    measure(trained, "error")
    assert read_measured(run, "error") == {**before, "version": 7}
    monkeypatch.undo()
    write_measured(run, "error", before)


def test_pictures_judged_as_trained_on_are_those(done: tuple[Trial, Trained]) -> None:
    _, trained = done
    detail = (read_measured(trained.run, "error") or {})["detail"]
    assert detail["trained_on"] == LIMIT < len(trained.data.places("train"))
    assert not {*trained.seen(50).tolist()} & {*trained.held_out().tolist()}


def test_quantities_are_means_of_what_is_kept_of_each_picture(done: tuple[Trial, Trained]) -> None:
    _, trained = done
    for name in ("error", "lesions"):
        found = read_measured(trained.run, name) or {}
        assert found["by_picture"]
        for quantity in found["by_picture"]:
            each = by_picture(found, quantity)
            assert each is not None
            assert 100 * each.mean() == pytest.approx(found["summary"][quantity], abs=0.05)
    assert by_picture(found, "rise") is None


def test_units_are_removed_until_none_is_left(done: tuple[Trial, Trained]) -> None:
    _, trained = done
    found = read_measured(trained.run, "lesions") or {}
    last = found["detail"]["at_random"]["rows"][-1]
    assert last["count"] == sum(unit["error"] is not None for unit in found["detail"]["each"]["units"])
    harm = last["quartiles"][1] - found["detail"]["each"]["error"]
    assert found["summary"]["all_removed"] == pytest.approx(harm)
    assert -1 <= found["summary"]["rise"] <= 1 and "dotted_more" not in found["summary"]


def test_the_beginning_is_measured_as_a_network_that_normalizes(done: tuple[Trial, Trained]) -> None:
    """Averages of mixed training pictures and a batch's own statistics tell the same of the gradient."""
    _, trained = done
    inputs, labels = trained.some()
    network = trained.beginning()
    by_averages = ratio(network, inputs, labels)
    by_batch = ratio(network.train(), inputs, labels)
    assert by_averages == pytest.approx(by_batch, rel=0.3)
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.reset_running_stats()
    assert ratio(network.eval(), inputs, labels) < by_batch / 5


def ratio(network: Any, inputs: Tensor, labels: Tensor) -> float:
    return taking.reached(gradients(network, inputs, labels))["ratio"]


def test_batches_are_like_those_of_training_whatever_the_datas_order(done: tuple[Trial, Trained]) -> None:
    _, trained = done
    assert (np.diff(trained.data.labels) >= 0).all()
    batches = [labels for _, labels in trained.mixed(trained.seen(100))]
    assert [len(labels) for labels in batches] == [BATCH] * (100 // BATCH)
    assert all(len(set(labels.tolist())) > 4 for labels in batches)
    sizes: list[int] = []
    handle = trained.network.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    wrong = taking._wrong_in_batches(trained)
    handle.remove()
    assert set(sizes) == {BATCH} and len(wrong) == len(trained.held_out())
    assert not trained.network.training


def test_each_picture_is_judged_in_a_batch_of_its_own_place(
    done: tuple[Trial, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With norms that ignore the batch it is the same as one by one."""
    _, trained = done
    monkeypatch.setattr(taking, "by_batches", lambda _: nullcontext())
    wrong = taking._wrong_in_batches(trained)
    found = by_picture(read_measured(trained.run, "error"), "error")
    assert found is not None and (wrong == found).all()


def test_statistics_of_the_same_weights(done: tuple[Trial, Trained]) -> None:
    _, trained = done
    found = taking.statistics(trained)
    assert found["detail"] == {"batch_size": BATCH}
    summary = found["summary"]
    error = (read_measured(trained.run, "error") or {})["summary"]["error"]
    assert summary["running"] == pytest.approx(error)
    assert summary["batch_more"] == pytest.approx(summary["batch"] - summary["exact"])
    assert summary["momentum_more"] == pytest.approx(summary["momentum_0.1"] - summary["momentum_0.01"])


def test_averages_are_over_the_batches_of_the_last_pass(done: tuple[Trial, Trained]) -> None:
    _, trained = done
    settings = trained.settings
    expected = [batch.inputs() for batch in Loaders(trained.data, settings).batches(settings.epochs - 1, 0)]
    found = [inputs for inputs, _ in trained.augmented(1000)]
    assert len(found) == len(expected) == LIMIT // BATCH
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(
        (inputs for inputs, _ in trained.augmented(3 * BATCH + 1)), expected[-3:], strict=True
    ))  # fmt: skip
    assert len(list(trained.augmented(1))) == 1
    plainly = next(trained.batches(trained.seen(LIMIT), LIMIT))[0].flatten(1)
    as_it_is = (expected[0].flatten(1)[:, None] == plainly).all(2).any(1)
    assert as_it_is.float().mean() < 0.5


def test_averages_are_over_what_training_saw_of_a_part_of_a_pass(
    done: tuple[Trial, Trained],
) -> None:
    _, trained = done
    settings = trained.settings
    shorter = Trained(trained.run, trained.data)
    vars(shorter)["settings"] = replace(settings, steps=settings.steps - 1)
    batches = Loaders(trained.data, settings).batches(settings.epochs - 1, 0)
    *expected, _ = (batch.inputs() for batch in batches)
    found = [inputs for inputs, _ in shorter.augmented(1000)]
    assert len(found) == len(expected) and all(map(torch.equal, found, expected))
    assert next(shorter.augmented(BATCH))[0].equal(expected[-1])


def test_all_averages_are_of_the_same_pictures(
    done: tuple[Trial, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those that training had in its last pass, augmented: only the averaging differs."""
    _, trained = done
    shown: list[Tensor] = []

    class Seen(Averages):
        def __init__(self, network: Any, batches: Iterable[Tensor]) -> None:
            shown.extend(batches)
            super().__init__(network, shown)

    monkeypatch.setattr(taking, "Averages", Seen)
    taking.statistics(trained)
    expected = [inputs for inputs, _ in trained.augmented(taking.SEEN)]
    assert all(torch.equal(one, other) for one, other in zip(shown, expected, strict=True))


def test_an_untrained_network_gets_averages_of_mixed_pictures(done: tuple[Trial, Trained]) -> None:
    _, trained = done
    chosen = subject("tiny_resnet", trained.data.where, part="all", limit=90, batch=16)
    every, labels = chosen.whole()
    assert (labels.diff() >= 0).all()
    batches = list(chosen.mixed())
    assert [len(batch) for batch in batches] == [16] * 5
    for batch in batches:
        same = (batch.flatten(1)[:, None] == every.flatten(1)).all(2)
        assert len(set(labels[same.int().argmax(1)].tolist())) > 4


class Gone:
    """Pictures of which one cannot be read any more."""

    uniform = None

    def read(self, *_: Any) -> Pixels:
        raise UserError("'3.png' is gone.")


def test_a_picture_that_cannot_be_read_is_nothing_that_is_written_down(done: tuple[Trial, Trained]) -> None:
    _, trained = done
    broken = Trained(trained.run, replace(trained.data, pictures=Gone()))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="is gone"):
        measure(broken, "responses")
    assert read_measured(trained.run, "responses") is None


def test_notes_of_a_training_survive_whatever_cuts_it_short(tmp_path: Path) -> None:
    assert notes_of(tmp_path) == []
    note(tmp_path, 1, [0.5, 1.0])
    note(tmp_path, 2, [9.0, 1.0])
    with (tmp_path / FOLDER / NOTES).open("a") as file:
        file.write('\n{"epoch": 3, "nor')
    note(tmp_path, 2, [float("nan"), 1.0])  # made again
    note(tmp_path, 3, [1 / 3, 0.0])
    assert [(each["epoch"], each["ratio"]) for each in notes_of(tmp_path)] == [(1, 0.5), (2, None), (3, None)]
    assert notes_of(tmp_path)[2]["norms"] == [0.333333, 0.0]


@pytest.mark.parametrize(
    "line", ["3", '{"epoch": 1}', '{"epoch": 1, "norms": []}', '{"epoch": 1, "norms": ["x"]}']
)
def test_notes_of_something_else_are_said(tmp_path: Path, line: str) -> None:
    note(tmp_path, 1, [0.5, 1.0])
    (tmp_path / FOLDER / NOTES).write_text(line)
    with pytest.raises(UserError, match="has a line that is no note of a pass"):
        notes_of(tmp_path)


def test_paths_of_many_units_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = {"summary": {"paths_mean": 1.0}, "detail": [comb(900, length) for length in range(901)]}
    write_measured(tmp_path, "paths", found)
    read = read_measured(tmp_path, "paths")
    assert read is not None and read["detail"] == found["detail"]


@given(st.lists(st.integers(-1500, 1500), max_size=30))
def test_numbers_of_pictures_are_packed_to_a_thousandth(numbers: list[int]) -> None:
    assert (unpacked(packed(np.array(numbers) / 1000)) == np.array(numbers) / 1000).all()


def test_numbers_that_json_does_not_have() -> None:
    told = finite({"a": [1.0, float("nan")], "b": (float("inf"),)})
    assert json.loads(json.dumps(told, allow_nan=False)) == {"a": [1.0, None], "b": [None]}


def bits(text: str) -> NDArray[np.bool_]:
    return np.array([letter == "x" for letter in text])


def test_harm_is_of_the_median_unit_and_dotted_ones_are_apart() -> None:
    missed = {
        "": bits("x........."),
        "a": bits("xx........"),
        "b": bits("xxx......."),
        "c": bits(".xxxxxx..."),
        "d": bits("xxxxxxxx.."),
    }
    units = tuple(LeftOut(name, 100 * missed[name].mean()) for name in "abcd")
    found = taking.harm(Lesions(10, 10.0, units, 0.0, missed), dotted={"d"})
    amounts = {name: float(100 * each.mean()) for name, each in found.items()}
    assert amounts == pytest.approx(
        {
            "one_removed": 20,
            "worst_removed": 50,
            "one_lost": 100 * 2 / 9,
            "dotted_removed": 70,
            "dotted_more": 70 - (10 + 20 + 50) / 3,
        }
    )
    even = taking.harm(Lesions(10, 10.0, units, 0.0, missed), dotted={"d", "c"})
    assert 100 * even["one_removed"].mean() == pytest.approx(15)
