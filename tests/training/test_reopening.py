"""A run finds its pictures again, whatever has come beside them, and from wherever it goes on."""

import csv
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from residua.data.sources.digits import open_digits
from residua.errors import UserError
from residua.training.running import resume, train
from residua.training.telling.watching import Watch

QUICK: dict[str, Any] = {
    "model": "tiny_resnet",
    "device": "cpu",
    "deterministic": True,
    "batch": 8,
    "epochs": 2,
    "threads": 1,
    "val": 0.25,
    "report": False,
}


pytestmark = pytest.mark.usefixtures("own_folders")


class Stop(Watch):
    def stepped(self, step: int, loss: float, pictures: int) -> None:  # noqa: ARG002 - as a watcher has it
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)


class Heard(Watch):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


def classes(folder: Path) -> Path:
    """Twelve pictures each of three digits."""
    data = open_digits()
    for digit in (2, 4, 5):
        (folder / str(digit)).mkdir(parents=True)
        for place in [place for place, label in enumerate(data.labels) if label == digit][:12]:
            Image.fromarray(data.read(place, "gray")[..., 0]).save(folder / str(digit) / f"{place}.png")
    return folder


def table(folder: Path) -> Path:
    """The same pictures, listed."""
    rows = [("path", "label"), *((f"{p.parent.name}/{p.name}", p.parent.name) for p in folder.rglob("*.png"))]
    with (folder / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "list.csv"


def begun(data: Path | str, out: str) -> None:
    with pytest.raises(UserError, match="stopped at step 2"):
        train(data, out=out, watch=Stop(), **QUICK)


def same(one: str, other: str) -> bool:
    return all(
        Path(one, name).read_bytes() == Path(other, name).read_bytes()
        for name in ("last.safetensors", "best.safetensors")
    )


def one_more(folder: Path, label: str) -> str:
    """Add a picture of a class that there was not."""
    (folder / label).mkdir()
    Image.new("L", (8, 8), 90).save(folder / label / "new.png")
    return f"{label}/new.png"


def test_a_class_that_has_come_since_renumbers_none(tmp_path: Path) -> None:
    data = classes(tmp_path / "data")
    train(data, out="whole", **QUICK)
    begun(data, "run")
    one_more(data, "45")
    resume("run")
    assert same("run", "whole")
    assert json.loads(Path("run/evaluation.json").read_text())["classes"] == ["2", "4", "5"]


def test_nor_does_a_label_in_a_table(tmp_path: Path) -> None:
    data = table(classes(tmp_path / "data"))
    train(data, out="whole", **QUICK)
    begun(data, "run")
    with data.open("a") as file:
        file.write(f"{one_more(data.parent, '1')},1\n")
    resume("run")
    assert same("run", "whole")


def test_classes_that_were_changed_are_refused(tmp_path: Path) -> None:
    begun(classes(tmp_path / "data"), "run")
    odds: tuple[Any, ...] = (["2", "4"], ["2", "4", "6"], {}, ["2", "4", "5", "6"])
    for odd in odds:
        Path("run/classes.json").write_text(json.dumps(odd))
        with pytest.raises(UserError, match=r"classes\.json was changed: put it back"):
            resume("run")


def test_a_run_goes_on_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classes(tmp_path / "digits")
    listed = table(classes(tmp_path / "data"))
    listed.rename("list.csv")
    given: dict[str, Any] = {"root": "data"}
    for name, more in (("./digits", {}), ("list.csv", given)):
        train(name, out="whole", **QUICK, **more)
        with pytest.raises(UserError, match="stopped at step 2"):
            train(name, out="run", watch=Stop(), **QUICK, **more)
        (tmp_path / "else" / "where").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "else" / "where")
        assert resume("../../run").summary["data"] == name
        monkeypatch.chdir(tmp_path)
        assert same("run", "whole")
        for folder in ("run", "whole", "else"):
            shutil.rmtree(folder)


def test_data_that_was_moved_can_be_named(tmp_path: Path) -> None:
    train(classes(tmp_path / "data"), out="whole", **QUICK)
    begun("data", "run")
    Path("data").rename("moved")
    with pytest.raises(UserError, match=r"'data' does not exist.* write where it is as `data` into run"):
        resume("run")
    config = Path("run/config.yaml")
    config.write_text(config.read_text().replace("data: data", "data: moved"))
    resume("run")
    assert Path("run/last.safetensors").read_bytes() == Path("whole/last.safetensors").read_bytes()


def test_another_machine_is_said(tmp_path: Path) -> None:
    begun(classes(tmp_path / "data"), "run")
    shutil.copytree("run", "moved")
    path = Path("moved/env.json")
    said = json.loads(path.read_text())
    said["libraries"]["torch"] = "1.0"
    path.write_text(json.dumps(said | {"instructions": "NONE", "started": "long ago"}))
    heard, other = Heard(), Heard()
    resume("run", watch=heard)
    resume("moved", watch=other)
    assert not any("to the bit" in sentence for sentence in heard.said)
    (sentence,) = (sentence for sentence in other.said if "to the bit" in sentence)
    assert "torch was 1.0 and is " in sentence and "instructions was NONE" in sentence
    assert sentence.count(" was ") == 2
