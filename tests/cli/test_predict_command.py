"""The command that predicts as a user runs it: results as they come, of files of any name."""

import csv
import io
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import residua
from cli.commands import Command
from residua.cli.names import names_from
from residua.data.sources.table import read_rows
from residua.errors import UserError
from residua.judging.model import load
from residua.weights.metadata import ClassEntry, Preprocessing

EVIL = (os.fsdecode(b"\xff.png"), "new\nline.png", "=cmd|' '!A0.png", '[red]<b>\x1b[31m,".png')
RESIDUA = (sys.executable, "-m", "residua")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = residua.create("tiny_resnet", num_classes=3, units=(1, 1, 1), widths=(4, 4, 4), stem_width=4)
    classes = [
        ClassEntry(id=f"n{place}", name=name) for place, name in enumerate(("cat", "a\x1b[2J", "=dog"))
    ]
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    return residua.save(network, path, classes=classes, preprocessing=Preprocessing(size=8, resize=8))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of three photos and one that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for place in range(3):
        pixels = np.random.default_rng(place).integers(0, 256, (12, 10, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{place}.png")
    (folder / "bad.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_has_a_line_for_each_file(run: Command, model: Path, photos: Path) -> None:
    done = run("predict", model, photos, "--json", "--top", "2")
    found = objects(done.stdout)
    assert [line["path"] for line in found] == [
        str(photos / name) for name in ("0.png", "1.png", "2.png", "bad.jpg")
    ]
    assert found == [json.loads(json.dumps(each.as_json())) for each in load(model).predict(photos, top=2)]
    assert set(found[0]) == {"path", "label", "id", "probability", "top"}
    assert found[3] == {"path": str(photos / "bad.jpg"), "error": found[3]["error"]}
    assert done.code == 1
    assert (
        "residua: 1 of 4 files cannot be predicted:\n" in done.stderr
        and "bad.jpg: it is no JPEG" in done.stderr
    )
    assert len(objects(run("predict", model, photos / "0.png", "--json").stdout)[0]["top"]) == 3


def test_the_table_and_the_code_of_good_files(run: Command, model: Path, photos: Path) -> None:
    done = run("predict", model, photos / "2.png", photos / "0.png", "--top", "2")
    lines = done.stdout.splitlines()
    assert done.code == 0 and done.stderr == "" and len(lines) == 3
    assert lines[0].split() == ["class", "file"] and "%" in lines[1]
    assert str(photos / "2.png") in lines[1] and str(photos / "0.png") in lines[2] and lines[2].endswith("%)")


def test_every_class_and_name_is_safe_in_the_table(run: Command, model: Path, photos: Path) -> None:
    for name in EVIL:
        shutil.copy(photos / "0.png", photos / name)
    done = run("predict", model, photos, "--top", "3")
    assert done.stdout.count("\n") == 1 + 4 + len(EVIL)
    assert (
        "\x1b" not in done.stdout + done.stderr and "\\x1b[31m" in done.stdout and "\\xff.png" in done.stdout
    )


def test_names_of_any_bytes_survive_csv_and_json(
    run: Command, model: Path, photos: Path, tmp_path: Path
) -> None:
    for name in EVIL:
        shutil.copy(photos / "0.png", photos / name)
    paths = {os.fspath(path) for path in photos.iterdir()}
    assert {line["path"] for line in objects(run("predict", model, photos, "--json").stdout)} == paths
    done = run("predict", model, photos, "--csv", "--top=2")
    table = tmp_path / "table.csv"
    table.write_bytes(done.stdout.encode("utf-8", "surrogateescape"))
    columns = ("path", "label", "id", "probability", "label_2", "id_2", "probability_2", "error")
    rows = list(read_rows(table, columns))
    assert {row["path"] for row in rows} == paths and done.code == 1
    bad = next(row for row in rows if row["error"])
    assert bad["path"].endswith("bad.jpg") and not bad["label"] and not bad["probability_2"]
    good = next(row for row in rows if row["path"].endswith("1.png"))
    assert 1 >= float(good["probability"]) >= float(good["probability_2"]) >= 0
    cells = [cell for row in csv.reader(io.StringIO(done.stdout, newline="")) for cell in row]
    assert not [cell for cell in cells if cell.startswith("=")]  # no spreadsheet runs it


def test_half_a_character_in_a_class_ends_nothing(
    run: Command, model: Path, photos: Path, tmp_path: Path
) -> None:
    loaded = load(model)
    odd = [ClassEntry(id=f"n{place}", name="\ud800") for place in range(3)]
    file = residua.save(
        loaded.network, tmp_path / "odd.safetensors", classes=odd, preprocessing=loaded.preprocessing
    )
    assert run("predict", file, photos / "0.png", "--csv").code == 0
    assert json.loads(run("predict", file, photos / "0.png", "--json").stdout)["label"] == "\ud800"


@pytest.mark.parametrize("way", [[], ["--csv"], ["--json"]])
def test_an_answer_that_is_no_number_is_said_and_is_no_success(
    way: list[str], run: Command, model: Path, photos: Path, tmp_path: Path
) -> None:
    loaded = load(model)
    with torch.no_grad():
        next(loaded.network.parameters()).fill_(torch.nan)
    file = residua.save(loaded, tmp_path / "broken.safetensors")
    done = run("predict", file, photos / "0.png", *way)
    assert done.code == 1 and "the network's answer is no number" in done.stdout and "NaN" not in done.stdout
    assert "residua: 1 of 1 files cannot be predicted:" in done.stderr


def test_an_empty_name_is_said_to_be_empty(run: Command, model: Path) -> None:
    done = run("predict", model, "", "--json")
    assert done.code == 1 and objects(done.stdout) == [{"path": "", "error": "its name is empty"}]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["MODEL", "empty"], "there is nothing to predict: no pictures in empty."),
        (["MODEL", "empty", "--csv", "--json"], "two ways to print"),
        (["MODEL", "empty", "--top", "0"], "top=0 is not valid"),
        (["MODEL", "empty", "--device", "tpu"], "device='tpu' is not valid"),
        (["MODEL", "empty", "--precision", "int4"], "unknown precision 'int4'"),
        (["missing.safetensors", "empty"], "missing.safetensors"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    words: list[str], sentence: str, run: Command, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    done = run("predict", *(str(model) if word == "MODEL" else word for word in words))
    assert done.code == 2 and sentence in done.stderr and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_bad_files_are_counted_where_they_are_too_many_to_name(
    run: Command, model: Path, tmp_path: Path
) -> None:
    missing = [tmp_path / f"{number}.png" for number in range(103)]
    done = run("predict", model, *missing, "--json")
    assert done.code == 1 and len(objects(done.stdout)) == 103
    assert done.stderr.count("no such file") == 100 and done.stderr.endswith("  and 3 more\n")


def through_pipe(content: bytes, separator: bytes = b"\n") -> list[list[str]]:
    reading, writing = os.pipe()
    try:
        os.write(writing, content)
        os.close(writing)
        return list(map(list, names_from(reading, separator)))
    finally:
        os.close(reading)


def test_names_are_read_from_a_pipe() -> None:
    assert through_pipe(b"a b\n\n\xff\r\nlast") == [["a b", os.fsdecode(b"\xff"), "last"]]
    assert through_pipe(b"a\nb\0c", b"\0") == [["a\nb", "c"]]
    assert through_pipe(b"") == []


def test_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    (tmp_path / "odd\r").touch()
    assert through_pipe(b"a.png\r\n\r\nodd\r\nb.png\r") == [["a.png", "odd\r", "b.png"]]
    assert through_pipe(b"a.png\r\0", b"\0") == [["a.png\r"]]


def test_a_stretch_ends_where_the_next_name_is_not_there_yet() -> None:
    reading, writing = os.pipe()
    stretches = names_from(reading)
    assert list(next(stretches)) == []  # nothing is there yet
    os.write(writing, b"one\ntwo\nth")
    assert list(next(stretches)) == ["one", "two"]
    os.write(writing, b"ree\n")
    os.close(writing)
    assert [list(stretch) for stretch in stretches] == [["three"]]
    os.close(reading)


def test_an_endless_line_is_refused() -> None:
    handle = os.open("/dev/zero", os.O_RDONLY)
    try:
        with pytest.raises(UserError, match="more than a million bytes"):
            list(map(list, names_from(handle)))
    finally:
        os.close(handle)


def lines_from(process: subprocess.Popen[bytes], count: int) -> list[bytes]:
    assert process.stdout
    found = []
    for _ in range(count):
        assert select.select([process.stdout], [], [], 60)[0], "nothing came"
        found.append(process.stdout.readline())
    return found


def test_results_come_before_the_next_name_and_ctrl_c_ends_it(model: Path, photos: Path) -> None:
    process = subprocess.Popen(
        [*RESIDUA, "predict", model, "-", "--json", "--null"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdin and process.stderr
    with process:
        for name in ("0.png", "bad.jpg", "1.png"):
            process.stdin.write(os.fsencode(photos / name) + b"\0")
            (line,) = lines_from(process, 1)
            assert json.loads(line)["path"] == str(photos / name)
        time.sleep(0.1)  # it waits for the next
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == b"residua: interrupted after 3 files.\n"


def test_a_closed_pipe_ends_it_quietly(model: Path, photos: Path) -> None:
    words = [*RESIDUA, "predict", str(model), *[str(photos / "0.png")] * 200, "--json", "--batch=1"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    assert process.stdout and process.stderr
    with process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) not in (0, 70)
