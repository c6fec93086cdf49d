"""`residua evaluate` as a user runs it."""

import csv
import io
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

import residua
from cli.commands import Command
from judging.small import model, outcomes, pictures
from residua.cli import evaluation_tables
from residua.data.sources.recognition import open_data
from residua.data.splitting import split, write_split
from residua.errors import UserError
from residua.judging import evaluated
from residua.judging.evaluation import evaluate
from residua.judging.showing import samples
from residua.nets.devices import device_named
from residua.weights.modelfile import inspect

EVIL = os.fsdecode(b"\xff[red]\n\x1b[31m=cmd.png")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, and photos of classes that they know."""
    top, random = tmp_path_factory.mktemp("made"), np.random.default_rng(0)
    for label in "abcdef":
        folder = top / "photos" / label
        folder.mkdir(parents=True)
        for number in range(5):
            Image.fromarray(random.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{number}.png")
    residua.save(model("abcdef"), top / "model.safetensors")
    residua.save(model("fedcba", stem_width=3), top / "other.safetensors")
    return top


@pytest.fixture(autouse=True)
def _own_folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, to be written to."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESIDUA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def run(run: Command) -> Command:
    """Evaluate, on the CPU."""
    return lambda *words: run("evaluate", *words, "--device", "cpu")


def test_a_table_says_how_good_the_model_is(run: Command) -> None:
    done = run("model.safetensors", "photos")
    assert (done.code, done.stderr) == (0, "")
    top1 = evaluate("model.safetensors", "photos").top1
    for expected in ("30 pictures, all of them, as the data says; one view", f"{top1:.2f}", "macro F1 %"):
        assert expected in done.stdout
    for heading in ("Calibration", "Classes, worst first", "Taken for one another", "Worst mistakes"):
        assert heading in done.stdout


def test_json_is_all_of_standard_output(run: Command) -> None:
    done = run("model.safetensors", "photos", "--json", "--mistakes", "2", "--views", "ten-crop")
    said = json.loads(done.stdout)
    assert (done.code, done.stderr) == (0, "")
    assert {"samples", "top1", "top5", "per_class", "ece", "confusion"} <= set(said)
    assert (said["samples"], len(said["mistakes"]), said["views"]) == (30, 2, "ten-crop")
    found = evaluate("model.safetensors", "photos", mistakes=2, views="ten-crop")
    assert said == json.loads(json.dumps(found.as_json()))


def test_bad_pictures_are_named_and_the_exit_code_is_1(run: Command) -> None:
    Path("photos/c", EVIL).write_bytes(Path("photos/c/1.png").read_bytes()[:40])
    done = run("model.safetensors", "photos", "--json")
    said = json.loads(done.stdout)
    assert (done.code, said["samples"]) == (1, 30)
    assert [each["path"] for each in said["bad"]] == [f"c/{EVIL}"]
    table = run("model.safetensors", "photos")
    assert table.code == 1
    assert "cannot be read, and are not counted: 1" in table.stdout
    assert r"c/\xff[red]\n\x1b[31m=cmd.png" in table.stdout
    refused = run("model.safetensors", "photos", "--max-bad", "0")
    assert (refused.code, refused.stdout) == (2, "")
    assert "at most 0.0% may be bad" in refused.stderr


def test_the_table_of_predictions_has_every_picture(run: Command) -> None:
    assert run("model.safetensors", "photos", "--csv", "predictions.csv").code == 0
    with Path("predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == list(open_data("photos").names)
    assert list(rows[0])[:6] == ["path", "label", "predicted", "probability", "correct", "label_probability"]
    assert "top5" in rows[0]


def test_the_held_out_pictures_of_a_run_are_found_or_named(run: Command) -> None:
    parted = split(open_data("photos"), val=0.4)
    write_split(Path("split.csv"), parted)
    beside = json.loads(run("model.safetensors", "photos", "--json").stdout)
    assert (beside["part"], beside["samples"]) == ("val", len(parted.places("val")))
    assert "split.csv says, which lies beside the model" in beside["chosen_by"]
    Path("split.csv").rename("parts.csv")
    named = json.loads(run("model.safetensors", "photos", "--split", "parts.csv", "--json").stdout)
    assert named["top1"] == beside["top1"]
    train = json.loads(
        run("model.safetensors", "photos", "--split", "parts.csv", "--part", "train", "--json").stdout
    )
    assert train["samples"] + named["samples"] == 30


def mostly_right(folder: Path, wrong: int = 4) -> Path:
    """Photos in the classes that the model takes them for, but for one in so many; of 0, for none."""
    found = evaluate("model.safetensors", "photos").outcomes
    for place, (name, guess) in enumerate(zip(found.names, found.guesses[:, 0], strict=True)):
        label = found.classes[(guess + 1) % 6 if wrong and place % wrong == 0 else guess]
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / f"{place}.png").write_bytes(Path("photos", name).read_bytes())
    return folder


def test_the_temperature_is_stored_when_it_is_asked_for(run: Command, tmp_path: Path) -> None:
    photos, before = mostly_right(tmp_path / "sorted"), inspect("model.safetensors")
    said = json.loads(run("model.safetensors", photos, "--json").stdout)
    assert inspect("model.safetensors") == before
    done = run("model.safetensors", photos, "--store-temperature")
    assert done.code == 0
    assert "is stored in model.safetensors" in done.stderr
    assert inspect("model.safetensors") == replace(before, temperature=said["best_temperature"])
    again = json.loads(run("model.safetensors", photos, "--json").stdout)
    assert (again["top1"], again["temperature"]) == (said["top1"], said["best_temperature"])
    assert again["calibration"]["leaning"] == "fitting"
    assert again["ece"] == pytest.approx(said["calibration"]["best_ece"], abs=1e-6)


def test_where_no_temperature_fits_none_is_stored_and_the_rest_is_said(run: Command, tmp_path: Path) -> None:
    photos = mostly_right(tmp_path / "sorted", wrong=0)
    done = run("model.safetensors", photos, "--store-temperature", "--json")
    assert (done.code, json.loads(done.stdout)["best_temperature"]) == (2, None)
    assert "none fits best, as no wrong class is held likelier than the true one" in done.stderr
    table = " ".join(run("model.safetensors", photos).stdout.split())
    assert "At temperature 1, which is the model's, the calibration error is" in table
    assert "No temperature fits best, as no wrong class is held likelier than the true one" in table
    assert inspect("model.safetensors").temperature is None


@pytest.mark.parametrize("part", ["train", "all"])
def test_a_temperature_of_training_pictures_is_not_stored(run: Command, part: str) -> None:
    write_split(Path("split.csv"), split(open_data("photos"), val=0.4))
    done = run("model.safetensors", "photos", "--part", part, "--store-temperature")
    assert (done.code, done.stdout) == (2, "")
    assert "18 of these pictures are for training" in done.stderr
    assert inspect("model.safetensors").temperature is None


def test_pictures_that_the_model_learned_from_are_counted_in_words(run: Command) -> None:
    write_split(Path("split.csv"), split(open_data("photos"), val=0.4))
    said = run("model.safetensors", "photos", "--part", "all").stdout
    assert "18 of them are training pictures" in " ".join(said.split())
    assert "training pictures" not in run("model.safetensors", "photos").stdout
    found = [run("model.safetensors", "photos", "--json", *words) for words in (["--part", "all"], [])]
    assert [json.loads(each.stdout)["learned"] for each in found] == [18, 0]


def test_of_a_folder_the_model_in_it_is_named(run: Command) -> None:
    Path("run").mkdir()
    done = run("run", "photos")
    assert (done.code, done.stderr) == (2, "residua: run is a folder: name a model file.\n")
    shutil.copy("model.safetensors", "run/last.safetensors")
    shutil.copy("model.safetensors", "run/best.safetensors")
    done = run("run", "nowhere")  # before the data is looked at
    assert (done.code, done.stderr) == (2, "residua: run is a folder: name run/best.safetensors.\n")


def test_two_models_are_compared(run: Command) -> None:
    done = run("model.safetensors", "other.safetensors", "photos", "--json")
    said = json.loads(done.stdout)
    assert [each["samples"] for each in said["models"]] == [30, 30]
    first, second = said["models"]
    assert said["comparison"]["difference"] == pytest.approx(second["top1"] - first["top1"])
    assert said["comparison"]["test"] == "McNemar's mid-p test"
    table = run("model.safetensors", "other.safetensors", "photos")
    assert (table.code, table.stderr) == (0, "")
    assert said["comparison"]["sentence"] in table.stdout
    assert "only the second" in table.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["photos"], "takes a model"),
        (["model.safetensors", "other.safetensors", "model.safetensors", "photos"], "takes a model"),
        (["model.safetensors", "other.safetensors", "photos", "--csv", "x.csv"], "evaluate it alone"),
        (["model.safetensors", "photos", "--csv", "nowhere/x.csv"], "no folder"),
        (["model.safetensors", "nowhere"], "nowhere"),
        (["photos/a/0.png", "photos"], "0.png"),
        (["model.safetensors", "photos", "--views", "tencrop"], "ten-crop"),
        (["model.safetensors", "photos", "--part", "vall"], "did you mean val"),
        (["model.safetensors", "photos", "--batch", "0"], "batch=0"),
        (["model.safetensors", "photos", "--class-map", "nowhere.csv"], "nowhere.csv"),
        (["model.safetensors", "digits"], "none of the 6 classes"),
    ],
)
def test_a_mistake_is_one_sentence(run: Command, words: list[str], said: str) -> None:
    done = run(*words)
    assert (done.code, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.startswith("residua: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model.safetensors", "photos", "--views", "tencrop"], "ten-crop"),
        (["model.safetensors", "photos", "--batch", "0"], "batch=0"),
        (["model.safetensors", "photos", "--mistakes", "-1"], "mistakes=-1"),
        (["model.safetensors", "photos", "--workers", "-1"], "workers=-1"),
        (["model.safetensors", "photos", "--max-bad", "2"], "max_bad=2"),
        (["model.safetensors", "photos", "--class-map", "nowhere.csv"], "nowhere.csv"),
        (["model.safetensors", "photos", "--class-map", "map.csv"], "map.csv maps 'x'"),
        (["model.safetensors", "nowhere.safetensors", "photos"], "nowhere.safetensors"),
        (
            ["model.safetensors", "plain.safetensors", "photos"],
            "plain.safetensors: this model cannot",
        ),
        (["model.safetensors", "few.safetensors", "photos"], "few.safetensors: 4 folders are named as none"),
        (["few.safetensors", "model.safetensors", "photos"], "few.safetensors: 4 folders are named as none"),
    ],
)
def test_what_needs_no_picture_is_found_before_any_is_decoded(
    run: Command, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(*_: object, **__: object) -> None:
        raise AssertionError("a picture was decoded")

    monkeypatch.setattr(samples, "check", decoded)
    Path("map.csv").write_text("folder,class\nx,a\n")
    judged = model("abcdef")
    residua.save(judged.network, "plain.safetensors", classes="abcdef")
    residua.save(model("ab"), "few.safetensors")
    done = run(*words)
    assert (done.code, done.stdout) == (2, "")
    assert said in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("device", ["cpu:99", "cuda:x", "tpu", "mps", "CPU", "cuda:-1", ""])
def test_a_device_that_there_is_not_is_refused(made: Path, device: str) -> None:
    with pytest.raises(UserError, match=f"device='{device}' is not valid"):
        device_named(device)
    if device:
        with pytest.raises(UserError, match=f"device='{device}' is not valid"):
            evaluate(made / "model.safetensors", made / "nowhere", device=device)


def test_a_gpu_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [device_named(name) for name in ("cuda", "cuda:1")] == ["cuda", "cuda:1"]
    with pytest.raises(UserError, match="'cuda:2' is not here: PyTorch sees 2 GPUs, from cuda:0,"):
        device_named("cuda:2")


def test_a_full_disk_does_not_undo_what_was_found(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise UserError("predictions.csv cannot be written: No space left on device.")

    monkeypatch.setattr(evaluated, "write_table", full)
    done = run("model.safetensors", "photos", "--csv", "predictions.csv", "--json")
    assert (done.code, json.loads(done.stdout)["samples"]) == (2, 30)
    assert "No space left" in done.stderr


def test_what_is_read_is_not_written_over(run: Command) -> None:
    before = Path("model.safetensors").read_bytes()
    assert run("model.safetensors", "photos", "--csv", "model.safetensors").code == 2
    assert Path("model.safetensors").read_bytes() == before


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_a_terminal_even_of_very_many_classes(width: int) -> None:
    classes = [f"a class with quite a long name, number {place}" for place in range(1200)]
    random = np.random.default_rng(0)
    names = [f"{'deep/' * 30}{place}.png" for place in range(60)]
    data = pictures(60, classes, names=names)
    found = evaluate(model(classes), data)
    logits = random.normal(size=(60, 1200)).tolist()
    said = replace(outcomes(logits, random.integers(0, 1200, 60)), classes=tuple(classes))
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(evaluation_tables.evaluated(replace(found, outcomes=said)))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) < 200
    text = " ".join(" ".join(lines).split())
    wrong = replace(found, outcomes=said).mistake_count
    assert f"and {wrong - 10} more: --json has 20, --mistakes asks for more." in text
    assert "better ones are not shown: --json has all of them" in text
    assert "classes have no picture" in text


def test_nothing_that_is_read_is_written_over(run: Command) -> None:
    Path("map.csv").write_text("folder,class\n")
    before = Path("model.safetensors").read_bytes()
    for words in (("--csv", "model.safetensors"), ("--csv", "map.csv", "--class-map", "map.csv")):
        done = run("model.safetensors", "photos", *words)
        assert done.code == 2 and f"{words[1]} is read, so it cannot be written" in done.stderr
    assert Path("model.safetensors").read_bytes() == before


def test_pipes_are_no_files(run: Command) -> None:
    os.mkfifo("pipe")
    for words in (("--csv", "pipe"), ("--split", "pipe"), ("--class-map", "pipe")):
        done = run("model.safetensors", "photos", *words)
        assert done.code == 2 and "a device or a pipe" in done.stderr
    assert Path("pipe").is_fifo()


def test_one_picture_is_enough(run: Command) -> None:
    Path("one.csv").write_text(f"path,label\n{next(Path('photos').glob('*/*.png'))},a\n")
    said = json.loads(run("model.safetensors", "one.csv", "--json").stdout)
    assert (said["samples"], said["part"]) == (1, "all")
