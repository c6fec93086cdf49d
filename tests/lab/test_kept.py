"""Trials kept elsewhere: taken back, never mixed, never lost, and no trouble to a sweep."""

import gzip
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.sweeping import TINY, experiment
from lab.told import PASSES, write_lab, write_trial
from residua.errors import UserError
from residua.files import BusyError, claimed
from residua.lab import carrying, running, written
from residua.lab import sweep as sweeps
from residua.lab.bypicture import packed
from residua.lab.carrying import again, carry_out, is_done
from residua.lab.experiment import MEASUREMENTS, Experiment
from residua.lab.kept import THROUGH, keep, restore, take
from residua.lab.measurements import read_measured, write_measured
from residua.lab.reporting.records import read_record
from residua.lab.reporting.summary import write_summary
from residua.lab.results import Results
from residua.lab.running import run_experiment
from residua.lab.sweep import Onlooker
from residua.lab.trials import Trial, trials
from residua.training.telling.stopping import StoppedError

LAST, SUMMARY = "last.safetensors", "summary.json"


@pytest.fixture
def trial() -> Trial:
    return trials(experiment(), "quick", "made up")[0][1]


def trained(trial: Trial, run: Path, measurements: Sequence[str] = (), place: int = 0) -> Path:
    """A trial as if it had been trained here; another place is another machine."""
    write_trial(run, trial, measurements, place)
    (run / LAST).touch()
    (run / "config.yaml").touch()
    return run


def kept(folder: Path, trial: Trial) -> Path:
    return folder / "trials" / f"{trial.name}.json.gz"


def files(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return found


def write(path: Path, values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(values).encode()))


def contents(run: Path) -> dict[str, str]:
    return {str(path.relative_to(run)): path.read_text() for path in run.rglob("*") if path.is_file()}


def test_what_is_kept_is_of_one_training(tmp_path: Path, trial: Trial) -> None:
    """Another machine ends with other bits: its measurements are never put beside those of before."""
    one = trained(trial, tmp_path / "one" / trial.name)
    other = trained(trial, tmp_path / "other" / trial.name, place=5)
    more = trained(trial, tmp_path / "more" / trial.name, ["responses"], place=5)
    docs, path = tmp_path / "docs", kept(tmp_path / "docs", trial)
    assert keep(one, docs) is None
    before = path.read_bytes()
    assert "is of another training than" in (keep(other, docs) or "") and path.read_bytes() == before
    assert "it is replaced by" in (keep(more, docs) or "")
    assert files(path)["measured/error.json"] == (more / "measured" / "error.json").read_text()
    alone = tmp_path / "alone"
    keep(more, alone)
    assert files(path) == files(kept(alone, trial))
    assert keep(other, docs) is None  # the same training, of which less was measured
    assert "measured/responses.json" in files(path)
    assert "is of another training than" in (keep(one, docs) or "")


def test_where_the_pictures_lay_is_not_kept(tmp_path: Path, trial: Trial) -> None:
    run = trained(trial, tmp_path / trial.name)
    assert "/home/" in (run / SUMMARY).read_text()
    keep(run, tmp_path)
    found = files(kept(tmp_path, trial))
    assert "/home/" not in json.dumps(found) and json.loads(found[SUMMARY])["epochs"] == PASSES


def test_more_of_the_same_training_is_added(tmp_path: Path, trial: Trial) -> None:
    run = trained(trial, tmp_path / trial.name)
    keep(run, tmp_path)
    write_measured(run, "responses", {"summary": {"deviation": 1.0}, "detail": None})
    assert keep(run, tmp_path) is None
    assert {"measured/error.json", "measured/responses.json"} <= files(kept(tmp_path, trial)).keys()


def test_the_gradients_of_every_unit_are_kept(tmp_path: Path, trial: Trial) -> None:
    """Nobody can measure them later; a file of before, with the first and last alone, is made whole."""
    run, path = trained(trial, tmp_path / trial.name), kept(tmp_path, trial)
    keep(run, tmp_path)
    noted = files(path)[THROUGH]
    assert [json.loads(line)["norms"] for line in noted.splitlines()][-1] == [PASSES / 2, 0.8, 0.9, 1.0]
    thin = [{"epoch": n + 1, "norms": [(n + 1) / 2, 1.0]} for n in range(PASSES)]
    write(path, files(path) | {THROUGH: "".join(json.dumps(line) + "\n" for line in thin)})
    assert keep(run, tmp_path) is None and files(path)[THROUGH] == noted
    run.rename(tmp_path / "gone")
    restore(run, tmp_path)
    assert keep(run, tmp_path) is None and files(path)[THROUGH] == noted


def stopped(*_: Any, **asked: Any) -> None:
    asked["out"].mkdir(parents=True)
    (asked["out"] / "config.yaml").touch()
    raise StoppedError("stopped at step 3 and saved.", 130)


class Looked:
    """Pictures that nobody needs to look at."""

    digest, cifar, photos = "made up", None, None

    def parted(self, run: Path) -> None:  # noqa: ARG002 - as pictures have it
        return None


class Looking:
    """Looks at none."""

    def __call__(self, where: str) -> Looked:  # noqa: ARG002 - as `look_at` has it
        return Looked()

    def cache_clear(self) -> None:
        pass


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "look_at", Looking())


@pytest.mark.usefixtures("unseen")
def test_kept_results_stay_while_a_trial_is_trained_again(
    tmp_path: Path, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More is wanted of what is only kept; the training is stopped, gone on with, and takes its place."""
    keep(trained(trial, tmp_path / "one" / trial.name, ["responses"]), tmp_path)
    run = tmp_path / "lab" / "trials" / trial.name
    take(trial, run, tmp_path)
    before = contents(run)
    monkeypatch.setattr(carrying, "train", stopped)
    with pytest.raises(StoppedError):
        carry_out(trial, run, "data", ["lesions"])
    assert contents(run) == before and is_done(run, trial, ["responses"])
    assert (again(run) / "config.yaml").exists()

    def resumed(place: Path, **_: Any) -> None:
        trained(trial, place, place=5)

    def measured(ran: Any, name: str) -> None:
        if not read_measured(ran.run, name):
            write_measured(ran.run, name, {"summary": {}, "detail": None})

    monkeypatch.setattr(carrying, "resume", resumed)
    monkeypatch.setattr(carrying, "measure", measured)
    carry_out(trial, run, "data", ["lesions"])
    assert is_done(run, trial, ["responses", "lesions"])  # what was known before is known of the new one
    assert (run / LAST).exists() and not again(run).exists()
    assert contents(run)["metrics.jsonl"] != before["metrics.jsonl"]


def test_what_is_kept_is_taken_though_a_training_was_begun(tmp_path: Path, trial: Trial) -> None:
    keep(trained(trial, tmp_path / "one" / trial.name), tmp_path)
    run = tmp_path / "lab" / trial.name
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("begun")
    take(trial, run, tmp_path, ["responses"])  # more than is kept: it is gone on with
    assert contents(run) == {"config.yaml": "begun"}
    take(trial, run, tmp_path)
    assert is_done(run, trial, []) and not (run / "config.yaml").exists()
    assert contents(again(run)) == {"config.yaml": "begun"}


@pytest.mark.usefixtures("unseen")
def test_a_trial_killed_before_it_said_what_it_is_says_so_later(tmp_path: Path, trial: Trial) -> None:
    run = trained(trial, tmp_path / trial.name)
    (run / "trial.json").unlink()
    with pytest.raises(UserError, match=r"has no trial\.json"):
        keep(run, tmp_path)
    assert not is_done(run, trial, [])
    carry_out(trial, run, "data")
    assert is_done(run, trial, [])
    keep(run, tmp_path)
    take(trial, tmp_path / "other" / trial.name, tmp_path)
    assert is_done(tmp_path / "other" / trial.name, trial, [])


@pytest.mark.parametrize(
    "change",
    [
        {"summary.json": 5},
        {"summary.json": "[]"},
        {"metrics.jsonl": "1\n"},
        {"metrics.jsonl": "{}\n"},
        {"metrics.jsonl": '{"epoch": 1, "val_top1": 50}\n'},
        {"metrics.jsonl": '{"epoch": 1, "val_top1": [50]}\n'},
        {"measured/through_training.jsonl": '\n{"epoch": 1}'},
        {"measured/through_training.jsonl": '\n{"epoch": 1, "norms": []}'},
        {"measured/error.json": None},
        {"made.json": "\ud800"},
        {"made.json": "[" * 100_000},
        {"../stray.json": "{}"},
        {"trial.json": "{}"},
        {"trial.json": ""},
        None,
    ],
)
def test_a_foreign_or_damaged_file_is_one_sentence_and_replaced(
    tmp_path: Path, trial: Trial, change: dict[str, Any] | None
) -> None:
    run, path = trained(trial, tmp_path / "one" / trial.name), kept(tmp_path, trial)
    keep(run, tmp_path)
    whole = files(path)
    write(path, change and whole | change)
    with pytest.raises(UserError, match=r"cannot be read|is not of the trial"):
        take(trial, tmp_path / "two" / trial.name, tmp_path)
    assert not (tmp_path / "two" / trial.name).exists()
    assert (keep(run, tmp_path) or "").endswith("It is replaced.") and files(path) == whole


@pytest.mark.parametrize(
    "found",
    [
        {"version": 1},
        {"version": 1, "summary": [], "detail": None},
        {"version": 1, "summary": {"error": "none"}, "detail": None},
        {"version": 1, "summary": {}, "detail": None, "by_picture": 3},
        *(
            {"version": 1, "summary": {}, "detail": None, "by_picture": {"error": each}}
            for each in (3, "", "nonsense", packed(np.zeros(5))[:-5], packed(np.zeros(2_000_000)))
        ),
        [],
    ],
)
def test_a_measurement_without_its_parts_is_none(tmp_path: Path, found: Any) -> None:
    (tmp_path / "measured").mkdir()
    (tmp_path / "measured" / "error.json").write_text(json.dumps(found))
    assert read_measured(tmp_path, "error") is None


def test_what_another_sweep_holds_is_not_touched(tmp_path: Path, trial: Trial) -> None:
    keep(trained(trial, tmp_path / "one" / trial.name), tmp_path)
    run = tmp_path / "lab" / trial.name
    run.parent.mkdir()
    with claimed(run):
        take(trial, run, tmp_path)
    assert not run.exists()
    take(trial, run, tmp_path)
    assert is_done(run, trial, [])


def test_keeping_waits_for_who_is_keeping(
    tmp_path: Path, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, path = trained(trial, tmp_path / "one" / trial.name), kept(tmp_path, trial)
    path.parent.mkdir()
    waits: list[bool] = []
    with ExitStack() as held:
        held.enter_context(claimed(path))

        def let_in(_: float) -> None:
            waits.append(path.exists())
            held.close()

        monkeypatch.setattr(time, "sleep", let_in)
        keep(run, tmp_path)
    assert waits == [False] and path.exists()


def test_a_trial_that_is_gone_is_restored(tmp_path: Path, trial: Trial) -> None:
    keep(trained(trial, tmp_path / "one" / trial.name), tmp_path)
    run = tmp_path / "lab" / trial.name
    assert restore(run, tmp_path) and is_done(run, trial, [])
    assert not restore(tmp_path / "lab" / "another", tmp_path)


def test_a_page_is_written_though_a_trial_is_gone(tmp_path: Path) -> None:
    """It is taken from what is kept; without that the others are kept, and it is named."""
    lab, docs, said = tmp_path / "lab", tmp_path / "docs", list[str]()
    write_lab(lab, experiment())
    record = read_record(lab, "mine", "quick")
    gone, others = record.finished_runs[0], record.finished_runs[1:]
    shutil.rmtree(gone)
    write_summary(record, docs, said.append)
    assert said == [f"{gone} is gone, its curves are left out: it is not kept in {docs}."]
    assert sorted(path.name for path in (docs / "trials").iterdir()) == [
        f"{run.name}.json.gz" for run in others
    ]
    shutil.rmtree(others[0])
    write_summary(record, docs, said.append)
    assert len(said) == 2 and (others[0] / "metrics.jsonl").exists()


def test_what_is_printed_beside_is_no_word_of_a_worker() -> None:
    script = (
        "import os\nfrom residua.lab import worker\n"
        "def answer(*_):\n    print('a library says')\n    os.write(1, b'a compiler says')\n"
        "    return {'ended': 'well'}\nworker._answer = answer\nworker.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    process.stdin.write("{}\n")
    process.stdin.flush()
    assert process.stdout.readline() == '{"ended": "well"}\n'
    rest, aside = process.communicate(timeout=60)
    assert rest == "" and "a compiler says" in aside


class Listening(Onlooker):
    """Takes down what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.failed: list[str | None] = []

    def ended(self, course: Any, trial: Trial, reason: str | None) -> None:  # noqa: ARG002
        self.failed.append(reason)

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Sweeps whose trials are made up instead of trained; what is to be measured of each is taken down."""
    asked: list[list[str]] = []

    def carried(trial: Trial, run: Path, where: str, measurements: Sequence[str], **_: Any) -> None:
        asked.append([*measurements])
        trained(trial, run, measurements, place=len(asked))

    monkeypatch.setattr("residua.lab.sweep.carry_out", carried)
    monkeypatch.setattr(running, "look_at", Looking())
    return asked


def sweep(folder: Path, made: Experiment, onlooker: Onlooker | None = None, **settings: Any) -> Results:
    settings = {"seeds": 1, "jobs": 1, "report": False, **settings}
    return run_experiment(made, data="data", out=folder, onlooker=onlooker, **settings)


def test_everything_that_anybody_measures_is_kept(
    tmp_path: Path, made_up: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [experiment(name=f"my-{name}", measurements=[name]) for name in MEASUREMENTS]
    monkeypatch.setattr(running, "experiments", lambda: others)
    made = experiment(measurements=["lesions"])
    sweep(tmp_path / "without", made)
    assert made_up == [["lesions"]] * 2
    sweep(tmp_path / "lab", made, kept=tmp_path)
    assert set(made_up[-1]) == set(made_up[-2]) == {*MEASUREMENTS}
    count = len(made_up)
    for each in others:
        assert sweep(tmp_path / "other", each, kept=tmp_path).complete
    assert len(made_up) == count
    sweep(tmp_path / "without", made, kept=tmp_path)  # their weights are here: the rest is measured too
    assert len(made_up) == count + 2
    alone = experiment(networks={"a": {**TINY, "units": [1, 1, 2]}}, claims=[])
    sweep(tmp_path / "lab", alone, kept=tmp_path)
    assert made_up[-1] == []


def test_who_waits_for_another_sweep_says_so_once(
    tmp_path: Path, made_up: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    carried, left = vars(sweeps)["carry_out"], [5]

    def held(trial: Trial, *given: Any, **settings: Any) -> None:
        if trial.seed == 1 and left[0]:
            left[0] -= 1
            raise BusyError("held")
        carried(trial, *given, **settings)

    monkeypatch.setattr(sweeps, "carry_out", held)
    monkeypatch.setattr(sweeps, "PATIENCE", 0.001)
    onlooker = Listening()
    alone = experiment(networks={"a": TINY}, claims=[])
    assert sweep(tmp_path, alone, onlooker, seeds=2).complete and left == [0] and len(made_up) == 2
    (said,) = onlooker.said
    assert "seed1" in said and said.endswith("is at work in another sweep: waiting for it.")


def test_one_bad_file_stops_no_sweep(tmp_path: Path, made_up: list[list[str]]) -> None:
    sweep(tmp_path / "one", experiment(), kept=tmp_path)
    bad = sorted((tmp_path / "trials").iterdir())[0]
    bad.write_bytes(b"")
    onlooker = Listening()
    found = sweep(tmp_path / "two", experiment(), onlooker, kept=tmp_path)
    assert found.complete and not found.troubles and len(made_up) == 3
    run, replaced = onlooker.said
    assert run.startswith(f"{bad} cannot be read") and run.endswith("The trial is run here.")
    assert replaced.startswith(f"{bad} cannot be read") and replaced.endswith("It is replaced.")
    assert files(bad)


def test_a_folder_in_which_nothing_can_be_kept_fails_before_anything_is_trained(
    tmp_path: Path, made_up: list[list[str]]
) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="nothing can be kept in"):
            sweep(tmp_path / "lab", experiment(), kept=folder)
    assert not made_up and not (tmp_path / "lab").exists()
    with pytest.raises(UserError, match="nothing can be written in"):
        sweep(tmp_path / "file", experiment())
    assert not made_up


def test_errors_of_keeping_and_of_pages_end_no_sweep(
    tmp_path: Path, made_up: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    def failing(*_: Any) -> None:
        raise KeyError("environment")

    monkeypatch.setattr(written, "keep", full)
    monkeypatch.setattr("residua.lab.reporting.keeping.write_page", failing)
    onlooker = Listening()
    found = sweep(tmp_path / "lab", experiment(), onlooker, kept=tmp_path / "docs", report=True)
    assert found.complete and onlooker.failed == [None, None]
    assert (found.folder / "results.json").exists()
    assert len(found.troubles) == 3 and set(onlooker.said) == set(found.troubles)
    assert "No space left on device" in found.troubles[0]
    assert found.troubles[2] == "the page of mine cannot be written: KeyError: 'environment'."
