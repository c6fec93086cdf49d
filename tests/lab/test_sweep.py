import csv
import gzip
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

import residua
from lab.sweeping import TINY, experiment, packed_digits
from residua.cli import app
from residua.data.sources.digits import open_digits
from residua.errors import UserError
from residua.files import claimed
from residua.lab import carrying, running, sweep, worker
from residua.lab.catalogue import NAMES
from residua.lab.catalogue import experiment as named
from residua.lab.course import Course
from residua.lab.experiment import MEASUREMENTS, Experiment
from residua.lab.measurements import applies
from residua.lab.notes import notes_of
from residua.lab.results import RESULTS, TABLE, Results, Row, read_results
from residua.lab.running import run_experiment, run_experiments
from residua.lab.sweep import Onlooker
from residua.lab.trials import Trial, trials
from residua.lab.workers import Task, Word, Workers
from residua.nets import devices
from residua.training.keeping.checkpoint import newest
from residua.training.keeping.folder import STATE
from residua.training.telling.stopping import StoppedError


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(packed_digits(tmp_path_factory.mktemp("data")))


class Heard(Onlooker):
    """Counts the trials that are carried out, and may stop the sweep after some."""

    def __init__(self, stop_after: int = 1000) -> None:
        self.names: list[str] = []
        self.stop_after = stop_after
        self.finished = 0

    def began(self, course: Course, finished: int) -> None:  # noqa: ARG002 - as an onlooker has it
        self.finished = finished

    def ended(self, course: Course, trial: Trial, reason: str | None) -> None:  # noqa: ARG002
        self.names.append(trial.name)
        if len(self.names) == self.stop_after:
            raise KeyboardInterrupt


def run(lab: Path, digits: str, made: Experiment | None = None, **settings: Any) -> Results:
    return run_experiment(
        made or experiment(), data=digits, out=lab, **{"seeds": 2, "jobs": 1, "report": False, **settings}
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, digits: str) -> Path:
    lab = tmp_path_factory.mktemp("whole")
    assert run(lab, digits).complete
    return lab


def written(lab: Path) -> bytes:
    return (lab / "mine" / "quick" / RESULTS).read_bytes()


def test_a_sweep_that_was_stopped_goes_on_to_the_same_bytes(tmp_path: Path, digits: str, whole: Path) -> None:
    first, second, third = Heard(stop_after=2), Heard(), Heard()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, digits, onlooker=first)
    part = read_results(tmp_path, "mine", "quick")
    assert [row["state"] for row in part["trials"]] == ["finished", "finished", "missing", "missing"]
    assert not part["complete"]
    assert part["claims"][0]["verdict"] == "not decided"
    run(tmp_path, digits, onlooker=second)
    run(tmp_path, digits, onlooker=third)
    assert (len(second.names), second.finished) == (2, 2)
    assert (len(third.names), third.finished) == (0, 4)
    assert written(tmp_path) == written(whole)


def test_what_is_missing_of_a_killed_sweep_is_run(tmp_path: Path, digits: str, whole: Path) -> None:
    """SIGKILL within the first training, and within the second."""
    script = (
        "import sys; sys.path.insert(0, 'tests'); from lab.sweeping import experiment\n"
        "from residua.lab.running import run_experiment\n"
        f"run_experiment(experiment(), data={digits!r}, out={str(tmp_path)!r}, seeds=2, jobs=1, report=False)"
    )
    for count in (1, 2):
        process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
        until(lambda count=count: begun(tmp_path) >= count, process)
        process.kill()
        process.wait()
    heard = Heard()
    run(tmp_path, digits, onlooker=heard)
    assert heard.finished >= 1
    assert written(tmp_path) == written(whole)


def begun(lab: Path) -> int:
    return len(metrics(lab))


def metrics(lab: Path) -> list[Path]:
    return list(lab.glob("trials/*/metrics.jsonl"))


def until(condition: Any, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "it ended first"
        assert time.monotonic() < end
        time.sleep(0.02)


def test_bf16_is_another_trial_and_is_trained_only_where_it_is_fast(
    tmp_path: Path, digits: str, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "multiplies_bf16", lambda _: True)
    first = run(tmp_path, digits, precision="bf16")
    assert first.complete
    assert written(tmp_path) != written(whole)
    configs = [yaml.safe_load(path.read_text()) for path in tmp_path.glob("trials/*/config.yaml")]
    assert [config["precision"] for config in configs] == ["bf16"] * 4

    monkeypatch.setattr(devices, "multiplies_bf16", lambda _: False)
    assert run(tmp_path, digits, precision="bf16").verdicts() == first.verdicts()
    with pytest.raises(UserError, match="does not multiply in it"):
        run(tmp_path, digits, precision="bf16", seeds=3)
    with pytest.raises(UserError, match="precision"):
        run(tmp_path, digits, precision="fp64")


@pytest.mark.parametrize(
    ("name", "free", "jobs"),
    [("cifar_resnet1001", 24, 1), ("cifar_resnet1001", 80, 2), ("cifar_resnet20", 24, 4)],
)
def test_a_gpu_gets_as_many_trainings_as_fit(
    name: str, free: int, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: ((free - 3) << 30, 100 << 30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 5 << 30)  # of which 3 are kept for later
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 2 << 30)
    monkeypatch.setattr(running, "processors", lambda: 16)
    made = experiment(networks={"a": TINY, "b": name})
    planned = [(made, trials(made, "paper", "data", photos=False))]
    assert running._usual_jobs("cuda:0", planned, 32) == jobs


def test_processes_of_their_own_come_to_the_same_bytes(tmp_path: Path, digits: str, whole: Path) -> None:
    heard = Heard()
    run(tmp_path, digits, jobs=2, onlooker=heard)
    assert len(heard.names) == 4
    assert written(tmp_path) == written(whole)


def test_a_worker_that_is_killed_is_a_failure_with_its_reason(tmp_path: Path, digits: str) -> None:
    class Killing(Heard):
        def moved(self, course: Course) -> None:  # noqa: ARG002 - as an onlooker has it
            for lock in (tmp_path / "trials").glob(".*.lock"):
                if not self.names and not killed:
                    killed.append(lock.name)
                    os.kill(int(lock.read_text()), signal.SIGKILL)

    killed: list[str] = []
    found = run(tmp_path, digits, jobs=2, onlooker=Killing())
    (failed,) = [row for row in found.rows if row.state != "finished"]
    assert failed.state == "failed" and failed.trial in killed[0]
    assert "its process was ended by SIGKILL" in (failed.reason or "")
    assert run(tmp_path, digits).complete


def test_a_worker_that_ended_or_failed_is_given_nothing(tmp_path: Path, digits: str) -> None:
    """Whatever made a GPU fail may stay with the process."""
    first, *_, last = planned(digits)
    gone = Task(first, tmp_path / "gone", "nowhere", (), "cpu")
    with Workers(1) as workers:
        workers.give(gone)
        assert next(filter(is_end, iter(workers.hear, None))).kind == "failed" and not workers._all
        workers.give(Task(first, first.folder(tmp_path), digits, (), "cpu"))
        assert next(filter(is_end, iter(workers.hear, None))).kind == "well"
        (idle,) = workers._idle
        idle._process.kill()
        idle._process.wait()
        workers.give(Task(last, last.folder(tmp_path), digits, (), "cpu"))
        assert next(filter(is_end, iter(workers.hear, None))).kind == "well" and len(workers._all) == 1


def is_end(word: Word) -> bool:
    return word.kind != "moved"


def test_a_worker_to_which_nobody_listens_goes_on_until_it_is_asked_to_stop(
    tmp_path: Path, digits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = planned(digits)[0]

    def broken(*_: Any) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(worker, "_say", broken)
    task = Task(trial, trial.folder(tmp_path), digits, (), "cpu")
    assert worker._answer(task.as_json(), io.StringIO()) == {"ended": "well"}


def test_a_worker_saves_and_ends_when_nobody_listens(tmp_path: Path) -> None:
    """Both are within their first pass, of 809 updates, so that nothing but this saves them."""
    made = experiment(scales={"quick": {"epochs": 5, "changes": {"batch": 2}}})
    script = (
        "from residua.lab.experiment import Experiment\nfrom residua.lab.running import run_experiment\n"
        f"made = Experiment(name='mine', title='Mine', networks={dict(made.networks)!r}, "
        f"scales={dict(made.scales)!r})\n"
        f"run_experiment(made, data='digits', out={str(tmp_path)!r}, seeds=1, jobs=2, report=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    until(lambda: sum(path.stat().st_size > 0 for path in metrics(tmp_path)) == 2, process)
    holders = [int(lock.read_text()) for lock in (tmp_path / "trials").glob(".*.lock")]
    assert len(holders) == 2
    process.kill()
    process.wait()
    end = time.monotonic() + 60
    while any(alive(holder) for holder in holders):
        assert time.monotonic() < end, "a worker outlives its sweep"
        time.sleep(0.05)
    saved = [newest(state) for state in tmp_path.glob(f"trials/*/{STATE}")]
    assert len(saved) == 2 and all(found and 0 < found.step < 809 for found in saved)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or " Z " not in status.read_text()  # nobody may have asked how it ended


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("out of memory\nand more"), "out of memory"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (MemoryError(), "MemoryError"),
        (KeyError("step"), "KeyError: 'step'"),
    ],
)
def test_a_trial_that_fails_is_named_and_the_others_go_on(
    tmp_path: Path, digits: str, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    real = residua.train

    def train(*given: Any, **asked: Any) -> Any:
        if asked["spec"]["shortcut"] == "scaling":
            raise error
        return real(*given, **asked)

    monkeypatch.setattr(carrying, "train", train)
    found = run(tmp_path, digits)
    assert [(row.label, row.state, row.reason) for row in found.rows[:2]] == [
        ("a", "finished", None),
        ("b", "failed", reason),
    ]
    assert found.verdicts()[0].word == "not judged"
    monkeypatch.undo()
    assert run(tmp_path, digits).complete  # a failed one is tried again


def test_a_damaged_measurement_is_taken_again(tmp_path: Path, digits: str, whole: Path) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    damaged = sorted(tmp_path.glob("trials/*/measured/error.json"))[0]
    damaged.write_text("{")
    heard = Heard()
    assert run(tmp_path, digits, onlooker=heard).complete
    assert heard.names == [damaged.parent.parent.name]
    assert written(tmp_path) == written(whole)


class Stopping(Heard):
    """Ends a sweep within a training, as Ctrl-C does."""

    def moved(self, course: Course) -> None:
        if course.share > 0:
            signal.raise_signal(signal.SIGINT)


def test_a_training_goes_on_with_pictures_that_were_moved(tmp_path: Path, digits: str, whole: Path) -> None:
    lab, there = tmp_path / "lab", tmp_path / "there.safetensors"
    shutil.copy(digits, there)
    with pytest.raises(StoppedError):
        run(lab, str(there), onlooker=Stopping())
    (log,) = lab.glob("trials/*/log.txt")
    there.unlink()
    run(lab, digits, device="cpu")
    assert re.search(r"going on from step [1-9]", log.read_text())
    assert written(lab) == written(whole)


def test_pictures_that_change_meanwhile_are_noticed(tmp_path: Path) -> None:
    data, lab = tmp_path / "data", tmp_path / "lab"
    write_folder(data)

    class Changing(Heard):
        def ended(self, course: Course, trial: Trial, reason: str | None) -> None:
            super().ended(course, trial, reason)
            picture = min(data.rglob("*.png"))
            picture.write_bytes(max(data.rglob("*.png")).read_bytes())

    made = experiment(scales={"quick": {"epochs": 1, "changes": {"batch": 8}}})
    found = run_experiment(made, data=data, out=lab, seeds=1, jobs=1, report=False, onlooker=Changing())
    assert [row.state for row in found.rows] == ["finished", "failed"]
    assert "changed while the sweep was at work" in (found.rows[1].reason or "")
    after = run_experiment(made, data=data, out=lab, seeds=1, jobs=1, report=False)
    assert after.complete and after.rows[0].trial != found.rows[0].trial


def write_folder(folder: Path) -> None:
    """Some digits as class folders."""
    digits = open_digits()
    for label in (0, 1):
        (folder / str(label)).mkdir(parents=True)
        for place in np.flatnonzero(digits.labels == label)[:30].tolist():
            Image.fromarray(digits.pictures.read(place)).save(folder / str(label) / f"{place:04}.png")


def test_earlier_results_are_not_replaced_in_silence(tmp_path: Path, digits: str, whole: Path) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)

    class Listening(Heard):
        def say(self, sentence: str) -> None:
            said.append(sentence)

    said: list[str] = []
    run(tmp_path, digits, onlooker=Listening())
    assert said == []
    run_experiment(experiment(), data=digits, out=tmp_path, seeds=1, report=False, onlooker=Listening())
    assert len(said) == 1 and "has results of 2 trainings that are not of this run" in said[0]


def test_who_made_a_trial_stays_known(tmp_path: Path, digits: str, whole: Path) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    before = {path: path.read_bytes() for path in tmp_path.rglob("made.json")}
    assert len(before) == 4 + 1
    run(tmp_path, digits, command=["another"])
    assert {path: path.read_bytes() for path in tmp_path.rglob("made.json")} == before
    made = json.loads(sorted(tmp_path.glob("trials/*/made.json"))[0].read_text())
    assert made["environment"]["residua"] == residua.__version__ and made["environment"]["libraries"]["torch"]
    assert made["device"] == "cpu" and made["seconds"] > 0


def test_trials_that_were_kept_are_not_run_again(tmp_path: Path, digits: str) -> None:
    made = experiment(measurements=MEASUREMENTS)
    first, second, docs = tmp_path / "first", tmp_path / "second", tmp_path / "docs"
    one = run(first, digits, made, report=True)
    assert CliRunner().invoke(app, ["lab", "report", "--out", str(first), "--into", str(docs)]).exit_code == 0
    kept = sorted((docs / "trials").iterdir())
    assert len(kept) == 4 and max(path.stat().st_size for path in kept) < 20_000
    heard = Heard()
    other = run(second, digits, made, report=True, kept=docs, onlooker=heard)
    assert (heard.names, heard.finished) == ([], 4)
    assert written(second) == written(first)
    assert [each.as_json() for each in other.verdicts()] == [each.as_json() for each in one.verdicts()]
    for path in (first / "mine" / "quick").glob("*.csv"):
        assert (second / "mine" / "quick" / path.name).read_bytes() == path.read_bytes()
    pages = [lab / "mine" / "quick" / "report.html" for lab in (first, second)]
    one_page, other_page = (
        re.sub(r"<pre>.*?</pre>", "", page.read_text(), flags=re.DOTALL) for page in pages
    )
    assert one_page == other_page
    before = kept[0].read_bytes()
    kept[0].write_bytes(before[:50])
    kept[1].write_bytes(gzip.compress(b" " * 20_000_000))
    kept[2].unlink()

    class Listening(Heard):
        def say(self, sentence: str) -> None:
            said.append(sentence)

    said: list[str] = []
    third = Listening()
    assert run(tmp_path / "third", digits, made, kept=docs, onlooker=third).complete
    assert {*third.names} == {path.name.removesuffix(".json.gz") for path in kept[:3]}
    assert len(said) == 4 and sum("more than 16,000,000 bytes" in sentence for sentence in said) == 2
    assert kept[2].exists() and written(tmp_path / "third") == written(first)


def test_a_kept_trial_of_which_more_is_wanted_is_run(tmp_path: Path, digits: str, whole: Path) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(whole, tmp_path / "first")
    run(tmp_path / "first", digits, kept=docs)
    heard = Heard()
    found = run(
        tmp_path / "second", digits, experiment(measurements=["responses"]), kept=docs, onlooker=heard
    )
    assert len(heard.names) == 4 and found.complete
    assert run(tmp_path / "third", digits, experiment(measurements=["responses"]), kept=docs).complete


def test_a_training_that_cannot_be_trained_has_a_result(tmp_path: Path, digits: str) -> None:
    made = experiment(
        networks={"a": {**TINY, "norm": "none"}},
        scales={"quick": {"epochs": 1, "changes": {"batch": 32, "learning_rate": 1e6}}},
        claims=[],
    )
    found = run(tmp_path, digits, made)
    assert found.complete
    assert all(row.skipped for row in found.rows)
    assert min(found.sample("a", "error").values.values()) > 50


def test_what_cannot_be_measured_of_a_network_is_no_failure(tmp_path: Path, digits: str) -> None:
    """Every unit of this plain network changes the shape: none can be left out."""
    network = {"network": "cifar_plain8", "widths": [8, 16, 32], "stem_width": 4}
    found = run(tmp_path, digits, experiment(networks={"a": network}, measurements=["lesions"], claims=[]))
    assert found.complete
    lesions = found.measured(found.rows[0], "lesions") or {}
    assert "nothing can be left out" in lesions["why_not"]
    assert "lesions.one_removed" not in found.rows[0].values


def test_a_stop_that_was_asked_for_is_handed_on(
    tmp_path: Path, digits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise StoppedError("stopped at step 3 and saved.", 130)

    monkeypatch.setattr(carrying, "train", stop)
    with pytest.raises(StoppedError):
        run(tmp_path, digits)
    assert not read_results(tmp_path, "mine", "quick")["complete"]
    assert not list(tmp_path.glob("trials/*/failed.json"))


def test_two_sweeps_share_their_work(
    tmp_path: Path, digits: str, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another one holds is tried again later, when it may be done."""
    monkeypatch.setattr(sweep, "PATIENCE", 0.01)
    held: list[Any] = []
    first = planned(digits)[0].folder(tmp_path)
    first.parent.mkdir(parents=True)
    held.append(claimed(first))
    held[0].__enter__()

    class Freeing(Heard):
        def ended(self, course: Course, trial: Trial, reason: str | None) -> None:
            super().ended(course, trial, reason)
            if held:
                held.pop().__exit__(None, None, None)

    heard = Freeing()
    run(tmp_path, digits, onlooker=heard)
    assert heard.names[-1] == first.name
    assert written(tmp_path) == written(whole)


def planned(digits: str) -> list[Trial]:
    from residua.lab.pictures import look_at

    found = look_at(digits)
    return [trial for _, trial in trials(experiment(), "quick", found.digest, 2, photos=found.photos)]


def test_seeds_differ_in_the_network_and_not_in_what_is_held_out(whole: Path) -> None:
    splits = {path.read_text() for path in whole.glob("trials/*/split.csv")}
    assert len(splits) == 1
    seeds = {json.loads(path.read_text())["seed"] for path in whole.glob("trials/*/trial.json")}
    assert seeds == {0, 1}
    errors = {path.read_text() for path in whole.glob("trials/*/measured/through_training.jsonl")}
    assert len(errors) == 4


def test_results_hold_what_the_trials_have(whole: Path, digits: str) -> None:
    found = run(whole, digits)
    with (found.folder / TABLE).open() as file:
        table = list(csv.DictReader(file))
    told = read_results(whole, "mine", "quick")
    assert [row["label"] for row in table] == [row["label"] for row in told["trials"]] == ["a", "b", "a", "b"]
    for row, line in zip(found.rows, table, strict=True):
        assert float(line["error"]) == row.values["error"]
        missed = (found.sample(row.label, "error").wrong or {})[row.seed]
        assert 100 * missed.mean() == pytest.approx(row.values["error"])
        guesses = (whole / "trials" / row.trial / "predictions.csv").read_text().splitlines()
        assert len(missed) == len(guesses) - 1
        assert not (whole / "trials" / row.trial / "state").exists()
        assert not (whole / "trials" / row.trial / "report.html").exists()
    median = told["summary"]["a"]["error"]["median"]
    assert median == pytest.approx(sum(row.values["error"] for row in found.rows[::2]) / 2)


def test_damaged_results_are_one_sentence(tmp_path: Path, whole: Path) -> None:
    shutil.copytree(whole / "mine", tmp_path / "mine")
    (tmp_path / "mine" / "quick" / RESULTS).write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        read_results(tmp_path, "mine", "quick")


def test_a_folder_of_which_nothing_was_begun_is_made_anew(tmp_path: Path, digits: str, whole: Path) -> None:
    for trial in planned(digits):
        trial.folder(tmp_path).mkdir(parents=True)
        (trial.folder(tmp_path) / "split.csv").touch()
    assert run(tmp_path, digits).complete
    assert written(tmp_path) == written(whole)


def test_a_scale_without_data_needs_some(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="scale small needs pictures to train on: say with --data"):
        run_experiments(["norm"], scale="small", out=tmp_path)
    with pytest.raises(UserError, match="unknown scale 'smal'"):
        run_experiments(["tables"], scale="smal", out=tmp_path)
    assert run_experiment("tables", out=tmp_path).complete


def test_every_experiment_runs_at_a_smaller_scale_than_quick(tmp_path: Path, digits: str) -> None:
    """One seed, one pass, few layers: that everything fits together; of one seed no order is decided."""
    made = [smaller(named(name)) for name in NAMES]
    found = run_experiments(made, data=digits, out=tmp_path, seeds=1, jobs=1, report=False)
    assert all(each.complete for each in found)
    for each in found:
        specs = {member.label: member.spec for member in each.members}
        for row in each.rows:
            assert {"error", "train_error"} <= row.values.keys()
            for name in each.experiment.measurements:
                measured = each.measured(row, name)
                assert bool(measured) == applies(name, specs[row.label])
                assert not measured or measured["summary"].keys() == own(row, name)
            assert len(notes_of(tmp_path / "trials" / row.trial)) == row.passes == 1
    assert {verdict.claim.id for verdict in found[0].verdicts() if verdict.word != "holds"} == {
        "multiply-adds-vgg-16",  # the paper's is that of the convolutions alone
        "parameters-cifar-1001",  # without those of the norms
        "parameters-cifar-pre-1001",
    }


def own(row: Row, measurement: str) -> set[str]:
    return {name.partition(".")[2] for name in row.values if name.startswith(f"{measurement}.")}


def test_verdicts_are_about_the_networks_that_they_name(tmp_path: Path, digits: str) -> None:
    claims = [
        {"id": "order", "says": "a is better.", "less": "a", "than": "b"},
        {"id": "turned", "says": "b is better.", "less": "b", "than": "a"},
        {"id": "low", "says": "a is low.", "of": "a", "below": 1000, "everywhere": True},
        {"id": "high", "says": "b is high.", "of": "b", "above": 1000, "everywhere": True},
    ]
    networks = {"a": TINY, "b": {**TINY, "recipe": {"learning_rate": 1e-6}}}  # which learns nothing
    quick = {"epochs": 3, "changes": {"batch": 8}}
    found = run(tmp_path, digits, experiment(networks=networks, scales={"quick": quick}, claims=claims))
    errors = {label: [row.values["error"] for row in found.rows if row.label == label] for label in "ab"}
    assert max(errors["a"]) < min(errors["b"])
    order, turned, low, high = found.verdicts()
    assert order.measured == pytest.approx(np.mean(errors["b"]) - np.mean(errors["a"]))
    assert turned.measured == pytest.approx(-(order.measured or 0))
    assert (order.n, low.measured) == (2, np.median(errors["a"]))
    assert (low.word, high.word) == ("holds", "does not hold")


def smaller(made: Experiment) -> Experiment:
    quick = made.scales.get("quick", {})
    depths = {
        name: {"depth": [8, 14] if len(values) > 1 else 8, "basic": 8, "bottleneck": 11, "plain": 8}[name]
        for name, values in made.scale("quick").depths.items()
    }
    scales = {**made.scales, "quick": {**quick, "epochs": 1, "depths": depths}}
    return replace(made, name=f"{made.name}-smaller", scales=scales)
