"""The command that explains as a user runs it: a picture is written, and nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import residua
from cli.commands import Command
from residua.weights.metadata import ClassEntry, Preprocessing


@pytest.fixture(autouse=True)
def _model_and_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = residua.create("tiny_resnet", num_classes=3)
    classes = [ClassEntry(id=f"n{place}", name=name) for place, name in enumerate(("cat", "a\x1b[2J", "dog"))]
    rule = Preprocessing(size=16, resize=16)
    residua.save(network, tmp_path / "model.safetensors", classes=classes, preprocessing=rule)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)


def test_a_picture_is_written_beside_nothing_else(run: Command, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    done = run("explain", "model.safetensors", "photo.png")
    assert done.code == 0 and done.stderr == "" and "\x1b" not in done.stdout
    assert done.stdout.count("%") == 3 and done.stdout.endswith("is drawn in photo-explained.png\n")
    assert set(tmp_path.iterdir()) - before == {tmp_path / "photo-explained.png"}
    with Image.open("photo-explained.png") as picture:
        assert picture.format == "PNG" and picture.width > 2 * 30 * 16


def test_json_says_all(run: Command) -> None:
    done = run("explain", "model.safetensors", "photo.png", "-o", "out.png", "--label", "dog", "--json")
    found = json.loads(done.stdout)
    assert found["path"] == "photo.png" and found["out"] == "out.png" and Path("out.png").is_file()
    assert found["explained"]["label"] == "dog" and found["explained"] in found["top"]
    assert found["top"][0] == {key: found[key] for key in ("label", "id", "probability")}
    assert (
        found["seen"] == [pytest.approx(edge, abs=0.01) for edge in (5, 0, 25, 20)]
        and len(found["cells"]) == 2
    )


def test_a_class_is_named_by_its_id_too(run: Command) -> None:
    done = run("explain", "model.safetensors", "photo.png", "--label", "n0", "--json")
    assert json.loads(done.stdout)["explained"]["id"] == "n0"


def test_it_is_made_anew_but_never_in_the_place_of_the_picture(run: Command) -> None:
    for label in ("dog", "cat"):
        assert run("explain", "model.safetensors", "photo.png", "--label", label).code == 0
    drawn = Path("photo-explained.png").read_bytes()
    assert run("explain", "model.safetensors", "photo.png", "--label", "cat", "-o", "cat.png").code == 0
    assert drawn == Path("cat.png").read_bytes()
    photo = Path("photo.png").read_bytes()
    done = run("explain", "model.safetensors", "photo.png", "-o", "./photo.png")
    assert done.code == 2 and "photo.png is read, so it cannot be written: name another" in done.stderr
    assert Path("photo.png").read_bytes() == photo


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["photo.png", "-o", "out.jpg"], "the name must end in .png"),
        (["photo.png", "-o", "missing/out.png"], "there is no folder 'missing'"),
        (["photo.png", "--label", "dig"], "unknown class 'dig': did you mean dog"),
        (["missing.png"], "'missing.png' cannot be read: no such file or directory"),
        (["model.safetensors"], "'model.safetensors' cannot be read: it is no JPEG"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    words: list[str], sentence: str, run: Command, tmp_path: Path
) -> None:
    before = set(tmp_path.iterdir())
    done = run("explain", "model.safetensors", *words)
    assert done.code == 2 and sentence in done.stderr and done.stderr.count("\n") == 1
    assert set(tmp_path.iterdir()) == before
