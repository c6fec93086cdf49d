"""The lab's commands: what they print, what they leave behind, and mistakes in one sentence."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import residua
from lab.sweeping import TINY, experiment, packed_digits
from lab.told import write_lab
from residua.cli import app, lab_progress
from residua.cli.lab_progress import Plain, in_words
from residua.errors import UserError
from residua.lab.course import Course
from residua.lab.trials import Trial
from residua.nets.zoo import spec
from residua.training.asking.configfile import write_config

ROOT = Path(__file__).parent.parent.parent


pytestmark = pytest.mark.usefixtures("own_folders")


def run(*words: Any) -> Result:
    return CliRunner().invoke(app, ["lab", *map(str, words)])


def mine(epochs: int = 1, **changes: Any) -> Path:
    """A file with an experiment of two trainings."""
    values = {
        "title": "Mine",
        "networks": {"a": TINY, "b": {**TINY, "shortcut": "scaling"}},
        "measurements": ["responses"],
        "scales": {"quick": {"epochs": epochs, "seeds": 1, "changes": {"batch": 32}}},
        "claims": [{"id": "order", "says": "a is better than b.", "less": "a", "than": "b"}],
    }
    path = Path("mine.yaml")
    write_config(path, values | changes)
    return path


def test_the_list_names_every_experiment() -> None:
    told = run("list")
    assert told.exit_code == 0
    assert all(name in told.stdout for name in ("tables", "shortcuts", "lesions", "norm"))
    rows = json.loads(run("list", "--json").stdout)
    assert len(rows) == 12 and rows[0]["name"] == "tables" and rows[0]["claims"] > 10
    assert rows[0]["trainings"]["small"] == 0
    assert rows[1]["trainings"] == {"quick": 12, "small": 12, "paper": 50}  # networks times seeds


def test_an_experiment_that_trains_nothing() -> None:
    done = run("run", "tables")
    assert done.exit_code == 0
    assert "1,179,648" in done.stdout and "1,170,648, which is a misprint" in done.stdout
    failed = [line for line in done.stdout.splitlines() if "does not hold" in line]
    assert [line.split(" has ")[0].strip() for line in failed] == [
        "VGG-16",
        "ResNet-1001",
        "Pre-activation ResNet-1001",
    ]
    told = json.loads(run("show", "tables", "--json").stdout)
    assert told == json.loads(run("run", "tables", "--json").stdout)
    unused = run("run", "tables", "--data", "nowhere")
    assert unused.exit_code == 0 and "--data is not looked at" in unused.stderr
    rows = Path("runs/lab/tables/quick/results.csv").read_text().splitlines()
    assert rows[0].split(",")[0] == "label" and len(rows) == 1 + len(told["networks"])
    made = json.loads(Path("runs/lab/tables/quick/made.json").read_text())
    assert made["environment"]["residua"] == residua.__version__ and made["command"]


def test_a_file_of_ones_own_is_run_and_shown() -> None:
    data = packed_digits(Path(), 120)
    done = run("run", mine(), "--data", data, "--jobs", 1)
    assert done.exit_code == 0, done.output
    assert re.search(r"1/2 .*resnet8-seed0-\w{12}.* left", done.stderr)
    assert "responses: deviation" in done.stdout and "a < b" in done.stdout
    assert "not decided" in done.stdout  # one pair has no spread
    again = run("run", "mine.yaml", "--data", data, "--jobs", 1, "--json")
    assert "0 trainings to do, 2 were finished before" in again.stderr
    told = json.loads(again.stdout)
    assert told == json.loads(run("show", "mine.yaml", "--json").stdout)
    assert {row["state"] for row in told["trials"]} == {"finished"}
    assert told["trials"][0]["values"].keys() == {"error", "train_error", "responses.deviation"}


def test_labels_are_text_and_a_finished_experiment_is_shown_by_its_name() -> None:
    labels = {
        "[/red]": TINY,
        "[bold]": {**TINY, "shortcut": "scaling"},
        ":smile:": {**TINY, "units": [1, 1, 2]},
    }
    claims = [{"id": "order", "says": "[/] is better.", "less": "[/red]", "than": "[bold]"}]
    write_lab(Path("runs/lab"), experiment(networks=labels, claims=claims, title="[/green]"))
    told = run("show", "mine")
    assert told.exit_code == 0
    for text in (*labels, "[/] is better.", "[/red] < [bold]", "[/green]"):
        assert text in told.stdout


def test_the_example_runs_as_it_is() -> None:
    assert run("new", "dropping").exit_code == 0
    text = Path("dropping.yaml").read_text()
    Path("dropping.yaml").write_text(text.replace("epochs: 3, seeds: 2", "epochs: 1, seeds: 1"))
    done = run("run", "dropping.yaml", "--data", packed_digits(Path(), 200), "--jobs", 1)
    assert done.exit_code == 0, done.output
    assert "Dropping units lowers the error." in done.stdout


def test_a_failure_is_said_and_the_exit_code_is_1() -> None:
    networks = {"a": TINY, "b": {**TINY, "recipe": {"batch": 4096}}}
    done = run("run", mine(networks=networks), "--data", packed_digits(Path(), 120), "--jobs", 1)
    assert done.exit_code == 1
    assert "b, seed 0: " in done.stderr and "fewer than a batch of 4096" in done.stderr


def test_a_page_that_fails_is_said_behind_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: Any) -> None:
        raise KeyError("environment")

    monkeypatch.setattr("residua.lab.reporting.keeping.write_page", failing)
    done = run("run", "tables")
    assert done.exit_code == 1 and "1,179,648" in done.stdout
    assert "the page of tables cannot be written: KeyError: 'environment'." in done.stderr
    assert Path("runs/lab/tables/quick/results.json").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "tables", "--kept", "/dev/null"], "nothing can be kept in /dev/null: it is no folder"),
        (["run", "shortcut"], "unknown experiment 'shortcut': did you mean shortcuts"),
        (["run", "norm", "--scale", "smal"], "unknown scale 'smal': did you mean small?"),
        (["run", "norm", "--scale", "paper"], "say with --data where they are"),
        (["run", "tables", "--out", "/dev/null"], "nothing can be written in /dev/null: it is no folder"),
        (["run", "norm", "--seeds", "0"], "seeds=0 is not valid"),
        (["run", "norm", "--seeds", "30000000"], "seeds=30000000 is not valid"),
        (["report", ""], "unknown experiment ''"),
        (["show", "norm"], "has not been run at scale quick below runs/lab"),
        (["new", "norm"], "comes with Residua"),
        (["new", "a b"], "name='a b' is not valid"),
        (["show", "nrm"], "unknown experiment 'nrm': did you mean norm?"),
        (["run", "none.yaml"], "none.yaml cannot be read"),
    ],
)
def test_a_mistake_is_one_sentence(words: list[str], sentence: str) -> None:
    done = run(*words)
    assert isinstance(done.exception, UserError)
    assert sentence in str(done.exception)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_leaves_a_valid_part(jobs: str) -> None:
    data = packed_digits(Path(), 120)
    words = ["-m", "residua", "lab", "run", str(mine(epochs=300)), "--data", str(data), "--jobs", jobs]
    process = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 120
    while not list(Path().glob("runs/lab/trials/*/metrics.jsonl")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "residua: stopped and saved: the same command goes on." in said
    told = json.loads(run("show", "mine.yaml", "--json").stdout)
    assert [row["state"] for row in told["trials"]] == ["missing", "missing"]
    elsewhere = run("show", "mine", "--scale", "small")
    assert "mine has not been run at scale small" in str(elsewhere.exception)


def test_the_time_left_follows_from_what_was_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("residua.lab.course.time.monotonic", lambda: now[0])
    small, large = spec("cifar_resnet8"), spec("cifar_resnet56")
    trials = [Trial(each, {}, seed, "data") for seed in (0, 1) for each in (small, large)]
    course = Course(trials, jobs=1)
    assert in_words(course.left) == ""
    course.began(trials[0])
    course.moved(trials[0], 0.0)
    now[0] = 10
    course.moved(trials[0], 1.0)
    course.ended(trials[0])
    assert (course.left or 0) > 60  # the large ones by their multiply-adds
    course.began(trials[1])
    course.moved(trials[1], 0.0)
    now[0] = 110
    course.moved(trials[1], 1.0)
    course.ended(trials[1])
    assert course.left == pytest.approx(10 + 100)
    course.jobs = 2
    assert course.left == pytest.approx(55)
    assert in_words(course.left) == "  1 min left" and in_words(7300) == "  2 h 02 min left"


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    trial = Trial(spec("cifar_resnet8"), {}, 0, "data")
    course = Course([trial], jobs=1)
    with lab_progress.watching() as plain:
        assert type(plain) is Plain
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with lab_progress.watching() as live:
        live.began(course, 2)
        course.began(trial)
        course.moved(trial, 0.5)
        live.moved(course)
        live.ended(course, trial, "no memory")
    assert "1 trainings to do, 2 were finished before" in capsys.readouterr().err


def test_the_python_of_the_document_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "lab.md").read_text(), re.DOTALL)
    exec(block, {})  # noqa: S102 - our own document


def test_no_word_of_an_experiment_reaches_the_terminal_as_a_command() -> None:
    evil = "\x1b]0;title\x07"
    texts = {"id": "c", "says": evil, "source": evil, "of": "a", "quantity": "depth", "number": "8"}
    mine(title=evil, networks={"a": "cifar_resnet8"}, claims=[texts], trained=False, measurements=[])
    told = run("run", "mine.yaml")
    assert told.exit_code == 0 and "\x1b" not in told.output and "\\x1b]0;title" in told.stdout
