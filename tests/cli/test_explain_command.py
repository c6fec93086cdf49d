"""The command that explains as a user runs it: a picture is written, and nothing is overwritten."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
import torch
from PIL import Image

import residua
from residua.cli import main
from residua.weights.metadata import ClassEntry, Preprocessing


@dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str


class Run(Protocol):
    def __call__(self, *words: str | Path) -> Done: ...


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """The command in this process, in a folder with a model and a photo."""
    torch.manual_seed(0)
    network = residua.create("tiny_resnet", num_classes=3)
    classes = [ClassEntry(id=f"n{place}", name=name) for place, name in enumerate(("cat", "a\x1b[2J", "dog"))]
    rule = Preprocessing(size=16, resize=16)
    residua.save(network, tmp_path / "model.safetensors", classes=classes, preprocessing=rule)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)

    def call(*words: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["residua", "explain", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert isinstance(stopped.value.code, int)
        return Done(stopped.value.code, *capsys.readouterr())

    return call


def test_a_picture_is_written_beside_nothing_else(run: Run, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    done = run("model.safetensors", "photo.png")
    assert done.code == 0 and done.stderr == "" and "\x1b" not in done.stdout
    assert done.stdout.count("%") == 3 and done.stdout.endswith("is drawn in photo-explained.png\n")
    assert set(tmp_path.iterdir()) - before == {tmp_path / "photo-explained.png"}
    with Image.open("photo-explained.png") as picture:
        assert picture.format == "PNG" and picture.width > 2 * 30 * 16


def test_json_says_all(run: Run) -> None:
    done = run("model.safetensors", "photo.png", "-o", "out.png", "--label", "dog", "--json")
    found = json.loads(done.stdout)
    assert found["path"] == "photo.png" and found["out"] == "out.png" and Path("out.png").is_file()
    assert found["explained"]["label"] == "dog" and found["explained"] in found["top"]
    assert found["top"][0] == {key: found[key] for key in ("label", "id", "probability")}
    assert (
        found["seen"] == [pytest.approx(edge, abs=0.01) for edge in (5, 0, 25, 20)]
        and len(found["cells"]) == 2
    )


def test_a_class_is_named_by_its_id_too(run: Run) -> None:
    assert (
        json.loads(run("model.safetensors", "photo.png", "--label", "n0", "--json").stdout)["explained"]["id"]
        == "n0"
    )


def test_nothing_is_overwritten_unasked(run: Run) -> None:
    Path("photo-explained.png").write_text("mine")
    done = run("model.safetensors", "photo.png")
    assert done.code == 2 and "photo-explained.png exists" in done.stderr
    assert Path("photo-explained.png").read_text() == "mine"
    assert run("model.safetensors", "photo.png", "--overwrite").code == 0
    assert Path("photo-explained.png").read_bytes().startswith(b"\x89PNG")


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
def test_what_cannot_be_is_one_sentence(words: list[str], sentence: str, run: Run, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    done = run("model.safetensors", *words)
    assert done.code == 2 and sentence in done.stderr and done.stderr.count("\n") == 1
    assert set(tmp_path.iterdir()) == before
