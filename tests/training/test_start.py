"""A training from its first choice to its last file, as a Python user runs it."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import residua
from residua.data.sources.digits import write_folder
from residua.data.sources.recognition import open_data
from residua.data.sources.table import read_rows
from residua.errors import UserError
from residua.judging.runfiles import read_metrics
from residua.training.keeping.run import Run
from residua.training.running import Finished, chosen, resume, train
from residua.training.settings import Settings
from residua.training.start import _network
from residua.training.telling.watching import Choices, Watch
from residua.training.updating.update import Updater
from residua.weights.modelfile import inspect
from training.tiny import settings

QUICK: dict[str, Any] = {
    "model": "tiny_resnet",
    "device": "cpu",
    "precision": "fp32",  # so that passes are judged as exactly as the end
    "deterministic": True,
    "limit": 256,
    "batch": 64,
    "epochs": 3,
    "threads": 1,
    "learning_rate": 0.1,
}
STEPS = 12


pytestmark = pytest.mark.usefixtures("own_folders")


class Notes(Watch):
    """Remembers what it hears, and does something at a step."""

    def __init__(self, step: int = 0, act: Callable[[], object] = lambda: None) -> None:
        self.step, self.act = step, act
        self.choices: Choices = ()
        self.steps: list[int] = []
        self.lines: list[dict[str, Any]] = []
        self.said: list[str] = []

    def chose(self, choices: Choices) -> None:
        self.choices = choices

    def stepped(self, step: int, loss: float, pictures: int) -> None:  # noqa: ARG002 - as a watcher has it
        self.steps.append(step)
        if step == self.step:
            self.act()

    def passed(self, line: dict[str, Any]) -> None:
        self.lines.append(line)

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def weights(folder: Path) -> bytes:
    return (folder / "last.safetensors").read_bytes()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Notes]:
    notes = Notes()
    folder = tmp_path_factory.mktemp("done") / "run"
    return train("digits", out=folder, watch=notes, **QUICK), notes


def test_a_run_describes_itself(done: tuple[Finished, Notes]) -> None:
    finished, notes = done
    assert names(finished.folder) == {
        *("config.yaml", "env.json", "classes.json", "split.csv", "bad_images.csv", "metrics.jsonl"),
        *("summary.json", "log.txt", "best.safetensors", "last.safetensors", "state"),
        *("MODEL_CARD.md", "report.html", "data.json", "evaluation.json", "predictions.csv"),
    }
    assert dict(notes.choices)["run"] == str(finished.folder)
    assert {"data", "split", "model", "weights", "input", "recipe", "length"} <= dict(notes.choices).keys()
    assert notes.steps == list(range(1, STEPS + 1))
    assert [line["epoch"] for line in notes.lines] == [1, 2, 3]
    log = (finished.folder / "log.txt").read_text()
    assert all(text in log for _, text in notes.choices) and all(said in log for said in notes.said)
    assert log.count(" accuracy ") == 3


def test_the_summary_is_of_the_best_model(done: tuple[Finished, Notes]) -> None:
    finished, _ = done
    summary = json.loads((finished.folder / "summary.json").read_text())
    assert summary == finished.summary and summary["steps"] == STEPS and summary["train"] == 256
    lines = read_metrics(finished.folder)
    assert finished.best == max(line["val_top1"] for line in lines) == summary["best_scores"]["val_top1"]
    data = open_data("digits")
    part = {row["path"]: row["split"] for row in read_rows(finished.folder / "split.csv", ("path", "split"))}
    held_out = [place for place, name in enumerate(data.names) if part[name] == "val"]
    guesses: Any = finished.model().predict([data.read(place, "gray") for place in held_out])
    right = [guess.label == data.classes[data.labels[p]] for guess, p in zip(guesses, held_out, strict=True)]
    assert summary["val"] == len(held_out)
    assert 100 * np.mean(right) == pytest.approx(finished.best)
    accuracy = inspect(finished.folder / "best.safetensors").accuracy
    assert accuracy and accuracy.top1 == finished.best


def test_card_and_report_say_what_it_is_worth(done: tuple[Finished, Notes]) -> None:
    finished, _ = done
    card = (finished.folder / "MODEL_CARD.md").read_text()
    page = (finished.folder / "report.html").read_text()
    assert "tiny_resnet" in card and f"{finished.best:.2f} %" in card and "\n9. 9\n" in card
    assert "tiny_resnet" in page and f"{finished.best:.1f}%" in page and "What is missing" not in page
    assert page.count("<polyline") == 6 and "http:" not in page
    assert "\n256 pictures of digits; `split.csv` names those that they were drawn from" in card
    assert "<dt>pictures to learn from</dt><dd>256</dd>" in page


def test_the_best_model_is_judged_picture_by_picture(done: tuple[Finished, Notes]) -> None:
    finished, _ = done
    found = json.loads((finished.folder / "evaluation.json").read_text())
    assert (found["samples"], found["top1"]) == (finished.summary["val"], pytest.approx(finished.best))
    assert found["loss"] == pytest.approx(finished.summary["best_scores"]["val_loss"], rel=1e-4)
    rows = list(read_rows(finished.folder / "predictions.csv", ("path", "label", "predicted", "correct")))
    parts = read_rows(finished.folder / "split.csv", ("path", "split"))
    assert [row["path"] for row in rows] == [row["path"] for row in parts if row["split"] == "val"]
    right = np.mean([row["label"] == row["predicted"] for row in rows])
    assert 100 * right == pytest.approx(finished.best)


def test_an_end_asked_for_meanwhile_is_heeded(done: tuple[Finished, Notes]) -> None:
    class Ending(Notes):
        def passed(self, line: dict[str, Any]) -> None:
            if line["epoch"] == QUICK["epochs"]:
                terminate()

    with pytest.raises(UserError, match="stopped at step 12 of 12 and saved"):
        train("digits", out="ended", watch=Ending(), **QUICK)
    assert "summary.json" not in names(Path("ended"))
    assert resume("ended").summary == done[0].summary
    assert names(Path("ended")) == names(done[0].folder)


def test_classes_cannot_write_into_card_and_report(tmp_path: Path) -> None:
    write_folder(tmp_path / "digits")
    (tmp_path / "digits" / "0").rename(tmp_path / "digits" / "<script>x")
    (tmp_path / "digits" / "1").rename(tmp_path / "digits" / "# a\n# b")
    finished = train(tmp_path / "digits", **QUICK | {"epochs": 1})
    card, page = ((finished.folder / name).read_text() for name in ("MODEL_CARD.md", "report.html"))
    assert "<script>" not in page and "&lt;script&gt;x" in page
    assert "\n# b" not in card and "<script" not in card and "\n0. \\# a" in card


def test_what_fails_before_the_training_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        train("nowhere")
    assert names(tmp_path / "runs" / "train") == set()
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="unknown recipe"):
        train("digits", out="mine", recipe="slow")
    assert names(tmp_path / "mine") == set()
    with pytest.raises(UserError, match="no pictures to judge by"):
        train("digits", val=0)
    (tmp_path / "mine" / "note").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        train("digits", out="mine")
    assert names(tmp_path / "mine") == {"note"}


def test_stopped_and_resumed_it_ends_as_if_nothing_had_been(done: tuple[Finished, Notes]) -> None:
    finished, _ = done
    with pytest.raises(
        UserError, match=r"stopped at step 6 of 12 and saved: `residua train --resume"
    ) as error:
        train("digits", watch=Notes(6, terminate), **QUICK)
    assert error.value.exit_code == 128 + signal.SIGTERM
    again = Notes()
    resumed = resume(watch=again)  # the newest
    assert again.steps == list(range(7, STEPS + 1)) and "going on from step 6." in again.said
    assert resumed.summary == finished.summary
    assert weights(resumed.folder) == weights(finished.folder)
    with pytest.raises(UserError, match="has no run to resume"):
        resume()
    with pytest.raises(UserError, match="is finished: there is nothing to resume"):
        resume(resumed.folder)
    (resumed.folder / "report.html").unlink()  # as after a kill while it was written
    (resumed.folder / ".report.html.01234567.part").touch()
    assert resume().summary == finished.summary
    assert (resumed.folder / "report.html").exists() and not list(resumed.folder.glob(".report*"))


def test_a_report_that_a_kill_left_out_is_written_wherever_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "pictures")
    folder = train("pictures", **QUICK | {"epochs": 1}).folder.absolute()
    page, heard = (folder / "report.html").read_text(), Notes()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (folder / "report.html").unlink()
    resume(folder)
    assert len((folder / "report.html").read_text()) == len(page)
    (folder / "report.html").unlink()
    (tmp_path / "pictures").rename(tmp_path / "moved")
    resume(folder, watch=heard)
    assert "does not exist" in heard.said[0] and "The report shows no pictures." in heard.said[0]
    assert heard.said[1].endswith("shows how it came to be.")
    (folder / "report.html").unlink()
    resume(folder, data=tmp_path / "moved")
    assert len((folder / "report.html").read_text()) == len(page)


def test_an_end_that_comes_too_late_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = Run.finish

    def late(run: Run, summary: dict[str, Any]) -> None:
        finish(run, summary)
        terminate()

    monkeypatch.setattr(Run, "finish", late)
    with pytest.raises(UserError, match=r"the run is over, but `residua report shown` has to write"):
        train("digits", out="shown", **QUICK | {"epochs": 1})
    with pytest.raises(UserError, match=r"the run is over\.$"):
        train("digits", out="plain", report=False, **QUICK | {"epochs": 1})
    assert Path("plain", "summary.json").exists()


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError(), MemoryError(), RuntimeError("x: can't allocate memory: y")]
)
def test_a_batch_without_room_is_said_and_loses_nothing(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Updater, "_update", full)
        with pytest.raises(
            UserError, match="not enough memory for an update with 2 pictures: choose a smaller"
        ):
            train("digits", out="run", **QUICK)
    assert not Path("run").exists()


def test_a_network_that_cannot_be_compiled_is_said_before_a_run_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "compile", lambda *_, **__: 1 / 0)
    with pytest.raises(UserError, match=r"cannot be compiled here .*choose compiled=false"):
        train("digits", out="run", compiled=True, **QUICK)
    assert not Path("run").exists()


@pytest.mark.parametrize("part", ["spec", "recipe", "preprocessing"])
def test_a_config_whose_parts_are_none_is_refused(part: str) -> None:
    with pytest.raises(UserError, match=f"incomplete: {part} must have fields"):
        Settings.from_dict(settings().to_dict() | {part: "abc"})


def test_a_picture_that_goes_or_changes_meanwhile_loses_nothing(tmp_path: Path) -> None:
    data = tmp_path / "digits"
    write_folder(data)
    whole = train(data, out="whole", **QUICK)
    rows = read_rows(tmp_path / "whole" / "split.csv", ("path", "split"))
    place = data / next(row["path"] for row in rows if row["split"] == "val")  # judged in every pass
    content = place.read_bytes()
    with pytest.raises(UserError, match=r"put the picture back as it was, and `residua train --resume"):
        train(data, out="torn", watch=Notes(6, lambda: place.write_bytes(content[:60])), **QUICK)
    place.unlink()
    with pytest.raises(UserError, match=r"A picture of torn cannot be found in .*put it back"):
        resume("torn")
    place.write_bytes(content)
    assert resume("torn").summary == whole.summary
    assert weights(tmp_path / "torn") == weights(tmp_path / "whole")


def test_weights_may_go_once_a_training_has_begun(done: tuple[Finished, Notes], tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    file.write_bytes((done[0].folder / "best.safetensors").read_bytes())
    tuning = {name: value for name, value in QUICK.items() if name != "model"} | {"weights": str(file)}
    tuned = train("digits", out="tuned", **tuning)
    assert tuned.summary["model"] == "tiny_resnet" and tuned.summary["recipe"] == "finetune"
    with pytest.raises(UserError, match="stopped at step 1"):
        train("digits", out="stopped", watch=Notes(1, terminate), **tuning)
    file.unlink()
    assert resume("stopped").summary == tuned.summary
    assert weights(tmp_path / "stopped") == weights(tmp_path / "tuned")


def test_all_choices_can_be_had_without_a_training(tmp_path: Path) -> None:
    choices = dict(chosen("digits", **QUICK))
    assert choices["model"].startswith("tiny_resnet, ") and "12 in all" in choices["length"]
    assert not (tmp_path / "runs").exists()


def test_a_runs_config_repeats_it(done: tuple[Finished, Notes]) -> None:
    again = train(config=done[0].folder / "config.yaml")
    assert weights(again.folder) == weights(done[0].folder)


def test_building_a_network_leaves_everybodys_chance_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)  # of GPUs, which need not be here
    before = torch.get_rng_state()
    _network(settings())
    assert not seeded and torch.equal(torch.get_rng_state(), before)


def test_a_run_whose_metrics_are_lost_goes_on_and_says_so(done: tuple[Finished, Notes]) -> None:
    with pytest.raises(UserError, match="stopped at step 6"):
        train("digits", out="shortened", watch=Notes(6, terminate), **QUICK)
    Path("shortened", "metrics.jsonl").unlink()
    heard = Notes()
    assert resume("shortened", watch=heard).summary["last"] == done[0].summary["last"]
    assert any("metrics.jsonl lacks lines that were written before step 6" in said for said in heard.said)


def test_a_run_without_any_checkpoint_does_not_begin_anew(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="stopped at step 6"):
        train("digits", out="run", watch=Notes(6, terminate), **QUICK)
    metrics = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    for path in (tmp_path / "run" / "state").glob("[0-9]*.safetensors"):
        path.unlink()
    with pytest.raises(UserError, match=r"run has no checkpoint any more, so it cannot go on"):
        resume("run")
    assert metrics and (tmp_path / "run" / "metrics.jsonl").read_bytes() == metrics


def test_the_best_model_is_the_one_that_the_checkpoint_knows(tmp_path: Path) -> None:
    """Of a process that was killed between writing the two, an earlier one's may be there."""

    class Impatient(Notes):
        def passed(self, line: dict[str, Any]) -> None:  # noqa: ARG002 - as a watcher has it
            terminate()

    once = QUICK | {"epochs": 1}
    train("digits", out="whole", **once)
    with pytest.raises(UserError, match="stopped at step 4"):
        train("digits", out="run", watch=Impatient(), **once)
    (tmp_path / "run" / "best.safetensors").write_bytes(b"of another pass")
    resume("run")
    for name in ("best.safetensors", "summary.json"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_dry_run_looks_at_the_folder_too(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photo.png").touch()
    with pytest.raises(UserError, match="full is not empty"):
        chosen("digits", out="full", **QUICK)
    with pytest.raises(UserError, match=r"photo.png is a file: name a folder"):
        chosen("digits", out="full/photo.png", **QUICK)


def test_a_run_in_use_is_left_alone(tmp_path: Path) -> None:
    with (
        Run.create_at(tmp_path / "run"),
        pytest.raises(UserError, match=f"being used by process {os.getpid()}"),
    ):
        train("digits", out="run")
    assert residua.train is train and residua.resume is resume


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"size": 2, "batch": 1}, "batch=1 and accumulate=1 leave one picture to a part"),
    ({"size": 2, "batch": 9, "accumulate": 8}, "batch=9 and accumulate=8 leave one picture to a part"),
    (
        {"augmentation.crop_padding": 9, "augmentation.padding": "reflect"},
        "crop_padding=9 is not valid: pictures of 8 pixels can be padded by 7",
    ),
    ({"weights": "done/best.safetensors", "model.norm": "none"}, "do not fit the network"),
    ({"threads": 100_000}, "threads=100000 is not valid: it must lie in 1 to 1024"),
]


@pytest.mark.parametrize(("given", "message"), IMPOSSIBLE)
def test_what_cannot_work_is_said_before_a_run_begins(
    given: dict[str, Any], message: str, done: tuple[Finished, Notes], tmp_path: Path
) -> None:
    given = {name: str(value).replace("done", str(done[0].folder)) for name, value in given.items()}
    with pytest.raises(UserError, match=message):
        chosen("digits", **QUICK | given)
    with pytest.raises(UserError, match=message):
        train("digits", out="run", **QUICK | given)
    assert not (tmp_path / "run").exists()


def test_an_update_in_parts_that_are_not_even_is_made() -> None:
    odd = {"size": 2, "batch": 25, "accumulate": 8, "steps": 2, "epochs": None}
    assert train("digits", **QUICK | odd).summary["steps"] == 2


def test_what_is_left_out_is_written_down(tmp_path: Path) -> None:
    train("digits", out="whole", **QUICK)
    with pytest.raises(UserError, match="stopped at step 5"):
        train("digits", out="run", watch=Notes(5, terminate), **QUICK)
    with pytest.raises(UserError, match="on_nan='' is not valid"):
        resume("run", on_nan="")
    with pytest.raises(UserError, match="stopped at step 7"):
        resume("run", on_nan="skip", watch=Notes(7, terminate))
    with Run.open(tmp_path / "run") as run:
        assert run.settings()["on_nan"] == "skip"
    resume("run")
    for name in ("evaluation.json", "predictions.csv", "last.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_run_whose_settings_were_edited_is_no_longer_that_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="stopped at step 5"):
        train("digits", out="run", watch=Notes(5, terminate), **QUICK)
    config, heard = tmp_path / "run" / "config.yaml", Notes()
    own = config.read_text()
    config.write_text(own.replace("learning_rate: 0.1", "learning_rate: 0.2"))
    with pytest.raises(
        UserError, match=r"config\.yaml was changed: recipe.learning_rate was 0\.1 and is 0\.2\."
    ):
        resume("run")
    config.write_text(own)
    for name in ("split.csv", "classes.json"):
        path = tmp_path / "run" / name
        before = path.read_bytes()
        path.write_bytes(before.replace(b"train", b"val", 1).replace(b'"0"', b'"zero"'))
        with pytest.raises(UserError, match=rf"{name} was changed: put it back"):
            resume("run")
        path.write_bytes(before)
    edited = own.replace("threads: 1", "threads: 2").replace("log_steps: 100", "log_steps: 1")
    config.write_text(edited.replace("device: cpu", "device: cuda:9"))  # as of another machine's
    with pytest.raises(UserError, match="is not here"):
        resume("run")
    resume("run", device="cpu", watch=heard)
    assert any("may not be the same to the bit, for threads was 1 and is 2" in said for said in heard.said)


def test_a_training_of_hardly_any_updates_says_so(tmp_path: Path) -> None:
    class Counted(Notes):
        def left_out(self, step: int) -> None:
            self.steps.append(step)

    heard = Counted()
    ruined = train(
        "digits", watch=heard, **QUICK | {"learning_rate": 1e9, "on_nan": "skip", "metric": "loss"}
    )
    assert heard.steps == list(range(1, STEPS + 1))
    summary = json.loads((ruined.folder / "summary.json").read_text(), parse_constant=pytest.fail)
    assert summary["skipped"] > STEPS / 2
    assert f"{summary['skipped']} of 12 updates were left out, so it is hardly trained" in heard.said[-1]
