"""A training ends, whatever its best model is worth."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nan

from residua.errors import UserError
from residua.judging.evaluated import Evaluation
from residua.judging.runfiles import BEST, EVALUATION, METRICS
from residua.training.keeping.run import Run
from residua.training.loop import StoppedError
from residua.training.telling.endings import PREDICTIONS, finish
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


def ended(folder: Path, heard: Heard, spoil: bool = False, stop: Callable[[], None] = go_on) -> None:
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
        finish(run, chosen, digits(), work.counts, heard, stop)


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
