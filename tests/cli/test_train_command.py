"""The training commands as a user runs them."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from rich.progress import Progress, TextColumn

import residua
from cli.commands import Command
from residua.cli.training_progress import Live
from residua.data.sources.digits import write_folder
from residua.training.keeping.run import Run
from residua.training.running import train

QUICK: dict[str, Any] = {
    "model": "tiny_resnet",
    "limit": 128,
    "batch": 64,
    "epochs": 2,
    "threads": 1,
    "deterministic": True,
}
WORDS = [word for name, value in QUICK.items() for word in ("--set", f"{name}={value}")]


pytestmark = pytest.mark.usefixtures("own_folders")


def test_choices_and_passes_on_one_stream_the_summary_on_the_other(run: Command) -> None:
    done = run("train", "digits", *WORDS, "--json")
    assert done.code == 0
    summary = json.loads(done.stdout)
    assert summary["folder"] == "runs/train/digits" and summary["steps"] == 4
    lines = done.stderr.splitlines()
    assert lines[0].startswith("data ") and "\x1b" not in done.stderr
    assert any(line.startswith("model ") and "tiny_resnet" in line for line in lines)
    assert [line.split("  ")[0] for line in lines if line.startswith("epoch ")] == ["epoch 1/2", "epoch 2/2"]
    assert "best.safetensors is the model" in lines[-1]
    assert run("train", "digits", *WORDS).stdout == ""
    assert Path("runs/train/digits-2/summary.json").is_file()


def test_a_flag_goes_before_a_file_and_a_file_before_the_default(run: Command) -> None:
    asked = {"data": "digits", "epochs": 5, "recipe": "modern", "augmentation": {"flip": "alternating"}}
    Path("run.yaml").write_text(yaml.safe_dump(asked))
    words = ("-c", "run.yaml", "--epochs", "1", "--seed", "4", "--set", "label_smoothing=0.2")
    assert run("train", *words, *WORDS[:6], "--set", "deterministic=true", "--out", "run").code == 0
    settings = yaml.safe_load(Path("run/config.yaml").read_text())
    recipe = settings["recipe"]
    assert (settings["data"], settings["seed"], recipe["name"]) == ("digits", 4, "modern")
    assert (recipe["epochs"], recipe["label_smoothing"], recipe["augmentation"]["flip"]) == (
        1,
        0.2,
        "alternating",
    )


def test_a_dry_run_says_all_and_writes_nothing(run: Command, tmp_path: Path) -> None:
    said = run("train", "digits", *WORDS, "--dry-run")
    assert said.code == 0 and "tiny_resnet" in said.stdout and "4 in all" in said.stdout
    choices = json.loads(run("train", "digits", *WORDS, "--dry-run", "--json").stdout)
    assert choices["length"] in said.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_as_json_has_all_that_was_measured(run: Command) -> None:
    words = (
        "train",
        "digits",
        "--model",
        "tiny_resnet",
        "--batch",
        "auto",
        "--precision",
        "fp32",
        "--set",
        "threads=1",
        "--dry-run",
    )
    choices = json.loads(run(*words, "--json").stdout)
    assert [sentence.split()[0] for sentence in choices["measured"]] == ["Batch", "Not"]
    assert choices["fitted"].startswith("no flips, as gray pictures may be writing")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "which data?"),
        (("digits", "--recipe", "fats"), "did you mean fast"),
        (("digits", "--set", "epoch=1"), "did you mean epochs"),
        (("digits", "--set", "out=here"), "--set out=here is not valid: out is no setting"),
        (("--set", "data=nowhere"), "'nowhere' does not exist"),
        (("digits", "--set", "epochs"), "--set epochs is not valid: write each field once, as field=value"),
        (
            ("digits", "--set", "seed=1", "--set", "seed=2", "--set", "epochs=1"),
            "--set seed=2 is not valid: write each field once",
        ),
        (("digits", "--time", "soon"), "write it as 20m"),
        (("digits", "--set", "time=soon"), "write it as 20m"),
        (("digits", "--time", ""), "time='' is not valid"),
        (("digits", "--on-nan", ""), "on_nan='' is not valid"),
        (("digits", "--weights", ""), "weights='' is not valid"),
        (("digits", "-c", "absent.yaml"), "absent.yaml cannot be read"),
        (("--resume",), "has no run to resume"),
        (("nowhere", "--resume"), "nowhere is no run"),
        (("nowhere", "--resume", "--device", "cpu"), "nowhere is no run"),
        (("nowhere", "--resume", "--epochs", "3"), "a run goes on as it began"),
    ],
)
def test_mistakes_are_one_sentence(words: tuple[str, ...], said: str, run: Command) -> None:
    done = run("train", *words)
    assert (done.code, done.stdout) == (2, "") and said in done.stderr
    assert done.stderr.startswith("residua: ") and done.stderr.count("\n") == 1


def test_whoever_comes_second_is_turned_away_before_torch_is_loaded(tmp_path: Path) -> None:
    program = (
        "import sys, residua.cli\n"
        "sys.argv = ['residua', 'train', 'digits', '--out', 'run']\n"
        "try:\n    residua.cli.main()\n"
        "finally:\n    print('torch' in sys.modules)"
    )
    with Run.create_at(tmp_path / "run"):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "False\n")
    assert "being used by process" in done.stderr


def test_a_training_goes_on_when_nobody_listens_any_more() -> None:
    program = "import residua.cli; residua.cli.main()"
    command = [sys.executable, "-c", program, "train", "digits", *WORDS]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as training:
        assert training.stderr and training.stderr.readline().startswith("data ")
        training.stderr.close()
    assert training.returncode == 0 and Path("runs/train/digits/summary.json").is_file()
    assert "epoch 2/2" in Path("runs/train/digits/log.txt").read_text()


def test_a_terminal_shows_where_the_training_is() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, legacy_windows=False)
    columns = (TextColumn("{task.description}"), TextColumn("{task.fields[about]}"))
    with Progress(*columns, console=console, auto_refresh=False) as bar:
        watch = Live(bar)
        watch.checked(3, 10)
        train("digits", watch=watch, **QUICK)
        bar.refresh()
    text = out.getvalue()
    assert "epoch 1/2  step 2  loss" in text and "recognised" in text  # lines that stay
    (task,) = bar.tasks
    assert (task.completed, task.total, task.description) == (4, 4, "epoch 2/2")
    watch.left_out(5)
    assert bar.tasks[0].completed == 5
    assert "loss" in task.fields["about"] and "accuracy" in task.fields["about"]


def test_demo_trains_and_predicts(run: Command, tmp_path: Path) -> None:
    folder = tmp_path / "residua-demo"
    write_folder(folder / "digits")  # as an earlier demo left it, with its run
    (folder / "run").mkdir()
    done = run("demo")
    assert done.code == 0
    summary = json.loads((folder / "run-2" / "summary.json").read_text())
    assert summary["best"] >= 97 and summary["val"] == 179
    guessed = [line.split(" is a ") for line in done.stdout.splitlines() if " is a " in line]
    assert len(guessed) == 8 and all((tmp_path / file).is_file() for file, _ in guessed)
    right = [Path(file).parent.name == guess.split()[0] for file, guess in guessed]
    assert sum(right) >= 7
    assert str(residua.load(folder / "run-2" / "best.safetensors").metadata.spec.name) in "cifar_resnet8"
