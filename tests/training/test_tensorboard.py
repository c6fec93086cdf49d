"""Curves for TensorBoard, read by TensorBoard."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from residua.errors import UserError
from residua.judging.runfiles import read_metrics
from residua.training.running import resume, train
from residua.training.telling.watching import Watch

pytest.importorskip("tensorboard")

QUICK: dict[str, Any] = {
    "model": "tiny_resnet",
    "device": "cpu",
    "deterministic": True,
    "limit": 64,
    "batch": 16,
    "epochs": 2,
    "threads": 1,
    "log_steps": 3,
    "tensorboard": True,
}


class Stop(Watch):
    def stepped(self, step: int, loss: float, pictures: int) -> None:  # noqa: ARG002 - as a watcher has it
        if step == 5:
            os.kill(os.getpid(), signal.SIGTERM)


def test_it_shows_the_metrics_of_a_run_each_once(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    with pytest.raises(UserError, match="stopped at step 5"):
        train("digits", out=tmp_path / "run", watch=Stop(), **QUICK)
    resume(tmp_path / "run")
    shown = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    shown.Reload()
    lines = read_metrics(tmp_path / "run")
    for name in ("train_loss", "lr", "val_top1", "val_loss"):
        found = [(event.step, pytest.approx(event.value)) for event in shown.Scalars(name)]
        assert found == [(line["step"], line[name]) for line in lines if line[name] is not None], name


def test_where_it_is_missing_nothing_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match=r"pip install 'residua\[tensorboard\]'"):
        train("digits", out=tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()
