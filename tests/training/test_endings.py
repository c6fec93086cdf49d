"""A training ends, whatever its best model is worth."""

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import pytest
from torch import nan

from residua.errors import UserError
from residua.judging.evaluated import Evaluation
from residua.judging.runfiles import BEST, EVALUATION, METRICS
from residua.training.keeping.run import Run
from residua.training.loop import Training
from residua.training.running import Finished, train
from residua.training.telling.endings import PREDICTIONS, finish, show
from residua.training.telling.stopping import StoppedError
from residua.training.telling.watching import Watch
from residua.weights.modelfile import load, save
from training.tiny import digits, settings, training


class Heard(Watch):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


def go_on() -> None:
    """Nobody asks for an end."""


def nothing(_work: Training) -> None:
    """Nothing is lost."""


def ended(
    folder: Path,
    heard: Heard,
    spoil: bool = False,
    stop: Callable[[], None] = go_on,
    lose: Callable[[Training], None] = nothing,
) -> None:
    """Train for one pass, and end it."""
    chosen = replace(settings(epochs=1), steps=4, report=False)
    with Run.create_at(folder) as run:
        work = training(run, chosen)
        work.go()
        if spoil:
            model = load(folder / BEST)
            for weight in model.network.parameters():
                weight.data.fill_(nan)
            save(model, folder / BEST)
            lines = (folder / METRICS).read_text()
            (folder / METRICS).write_text(re.sub(r'"val_loss": [\d.]+', '"val_loss": null', lines))
        lose(work)
        summary = finish(run, chosen, digits(), work.counts, heard, stop)
        show(run, chosen, digits(), summary, heard)


def test_a_model_that_answers_with_no_numbers_ends_its_run(tmp_path: Path) -> None:
    heard, folder = Heard(), tmp_path / "run"
    ended(folder, heard, spoil=True)
    assert (folder / "summary.json").exists() and not (folder / EVALUATION).exists()
    fault, outcome = heard.said
    assert "is no number" in fault and fault.endswith(f"ends without {EVALUATION} and {PREDICTIONS}.")
    assert "24 held-out pictures are recognised" in outcome


def test_a_full_disk_at_the_last_judgement_ends_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_found: Evaluation, path: Path) -> None:
        raise UserError(f"{path} cannot be written: No space left on device.")

    monkeypatch.setattr(Evaluation, "write_csv", full)
    heard, folder = Heard(), tmp_path / "run"
    ended(folder, heard)
    assert (folder / "summary.json").exists() and (folder / EVALUATION).exists()
    assert f"No space left on device. The run ends without {PREDICTIONS}." in heard.said[0]


def test_a_stop_while_it_is_judged_leaves_it_to_go_on(tmp_path: Path) -> None:
    def stop() -> None:
        raise StoppedError("stopped", 130)

    folder = tmp_path / "run"
    with pytest.raises(StoppedError):
        ended(folder, Heard(), stop=stop)
    assert not (folder / "summary.json").exists()


def test_a_run_whose_metrics_are_lost_ends_too(tmp_path: Path) -> None:
    def lose(work: Training) -> None:
        (work.run.folder / METRICS).write_text("")

    heard, folder = Heard(), tmp_path / "run"
    ended(folder, heard, lose=lose)
    (outcome,) = heard.said
    assert re.match(r"The best top1 was [\d.]+, whose line in metrics\.jsonl is lost: .*/best", outcome)


def test_a_run_without_a_best_pass_ends_too(tmp_path: Path) -> None:
    def lose(work: Training) -> None:
        work.counts.best, work.counts.best_step = None, 0
        (work.run.folder / BEST).unlink()

    heard, folder = Heard(), tmp_path / "run"
    ended(folder, heard, lose=lose)
    fault, outcome = heard.said
    assert fault.endswith(f"ends without {EVALUATION} and {PREDICTIONS}.")
    assert outcome.startswith("No pass had a top1 that is a number") and "last.safetensors is the" in outcome
    assert 'load("last.safetensors")' in (folder / "MODEL_CARD.md").read_text()
    assert isnan(Finished(folder, json.loads((folder / "summary.json").read_text())).best)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_does_not_wait_for_the_report_has_all_the_rest(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(folder: Path, data: object) -> None:
        os.kill(os.getpid(), number)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("residua.training.telling.endings.write_report", asked)
    old = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # as a command has it
    quick: dict[str, Any] = {"limit": 64, "batch": 32, "epochs": 1, "threads": 1, "deterministic": True}
    try:
        with pytest.raises(StoppedError, match=r"the run is over, but `residua report run` has") as error:
            train("digits", out="run", model="tiny_resnet", device="cpu", **quick)
    finally:
        signal.signal(signal.SIGTERM, old)
    assert error.value.exit_code == 128 + number
    assert (tmp_path / "run" / "summary.json").exists()
