"""No line of the metrics is lost, doubled or half there."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from residua.errors import UserError
from residua.judging.runfiles import read_metrics
from residua.training.keeping.metrics import append_metrics, cut_metrics

PASS = {"epoch": 1, "val_top1": None}
LINES = [{"step": step, "loss": 1 / 3 * step, "note": "ü\n", **PASS} for step in range(4)]
AGAIN = {"step": 4, **PASS}


def written(folder: Path) -> list[int]:
    (folder / "metrics.jsonl").unlink(missing_ok=True)
    return [append_metrics(folder, line) for line in LINES]


def test_what_was_measured_is_read_back(tmp_path: Path) -> None:
    lengths = written(tmp_path)
    assert read_metrics(tmp_path) == LINES
    assert lengths[-1] == (tmp_path / "metrics.jsonl").stat().st_size


def test_numbers_that_json_has_not_are_null(tmp_path: Path) -> None:
    append_metrics(tmp_path, {"loss": float("nan"), "best": float("-inf"), "lr": 0.5})
    text = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {"loss": None, "best": None, "lr": 0.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("metrics")


@settings(max_examples=40)  # each waits for a disk
@given(torn=st.integers(0, 300), checkpoint=st.integers(0, 3))
def test_a_resumed_run_doubles_no_line(folder: Path, torn: int, checkpoint: int) -> None:
    """Wherever the file was torn, it ends with the last whole line before the checkpoint."""
    lengths = written(folder)
    path = folder / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:torn])
    whole = sum(length <= torn for length in lengths)
    assert read_metrics(folder) == LINES[:whole]
    assert cut_metrics(folder, lengths[checkpoint]) == (checkpoint < whole)
    assert read_metrics(folder) == LINES[: min(whole, checkpoint + 1)]
    append_metrics(folder, AGAIN)
    assert read_metrics(folder) == [*LINES[: min(whole, checkpoint + 1)], AGAIN]


def test_a_last_line_of_zeros_is_torn_too(tmp_path: Path) -> None:
    written(tmp_path)
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b"\0" * 20 + b"\n")
    assert read_metrics(tmp_path) == LINES


@pytest.mark.parametrize("changed", [b'"step": 1', b'{"stop": 1'])
def test_a_line_that_was_changed_is_named(changed: bytes, tmp_path: Path) -> None:
    written(tmp_path)
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes().replace(b'{"step": 1', changed))
    with pytest.raises(UserError, match=r"line 2 of .*metrics\.jsonl holds no metrics"):
        read_metrics(tmp_path)


def test_a_run_that_measured_nothing_begins_an_empty_file(tmp_path: Path) -> None:
    cut_metrics(tmp_path, 0)
    assert read_metrics(tmp_path) == []


def test_no_place_to_write_or_read_is_one_sentence(tmp_path: Path) -> None:
    for act in (lambda f: append_metrics(f, {}), lambda f: cut_metrics(f, 0), read_metrics):
        with pytest.raises(UserError, match=r"metrics\.jsonl cannot be (written|read): No such file"):
            act(tmp_path / "none")
