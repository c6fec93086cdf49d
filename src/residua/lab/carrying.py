"""One trial carried out: trained, or gone on with, and measured; held by one process all the while."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from residua.data.dataset import Data
from residua.errors import UserError
from residua.files import BusyError, claimed
from residua.judging.runfiles import CONFIG, SUMMARY
from residua.lab.inside.gradients import gradients
from residua.lab.measurements import (
    ERROR,
    FOLDER,
    THROUGH,
    Trained,
    applies,
    measure,
    reached,
    some_of,
    write_json,
)
from residua.lab.pictures import look_at
from residua.lab.trials import Trial
from residua.nets.network import Network, Vgg
from residua.training.keeping.run import STATE
from residua.training.loop import StoppedError
from residua.training.running import resume, train
from residua.training.settings import Settings
from residua.training.telling.watching import Watch

TRIAL, FAILED = "trial.json", "failed.json"
Heard = Callable[[int, int], None]  # updates done, updates in all


def is_done(run: Path, trial: Trial, measurements: Sequence[str]) -> bool:
    """Whether a trial has been trained and all of this measured."""
    wanted = [ERROR, *(name for name in measurements if applies(name, trial.spec))]
    return all((run / FOLDER / f"{name}.json").exists() for name in wanted)


def carry_out(
    trial: Trial,
    run: Path,
    where: str,
    measurements: Sequence[str] = (),
    *,
    device: str = "auto",
    heard: Heard | None = None,
) -> None:
    """Do what is missing of a trial. A failure is written down, and raised as one sentence."""
    run.parent.mkdir(parents=True, exist_ok=True)
    with claimed(run), _one_thread():
        if is_done(run, trial, measurements):
            return
        (run / FAILED).unlink(missing_ok=True)
        try:
            _train(trial, run, where, device, heard)
            trained = Trained(run, look_at(where).parted(run))
            for name in (ERROR, *measurements):
                measure(trained, name)
            shutil.rmtree(run / STATE, ignore_errors=True)  # checkpoints, the larger part of a run
        except (StoppedError, BusyError):
            raise
        except (UserError, RuntimeError, MemoryError) as error:  # PyTorch's lack of memory is a RuntimeError
            reason = str(error).partition("\n")[0] or type(error).__name__
            run.mkdir(exist_ok=True)
            write_json(run / FAILED, {"reason": reason})
            raise UserError(f"{trial.name} failed: {reason}") from error


def failure(run: Path) -> str | None:
    """Return why a trial could not be carried out when it was last tried."""
    try:
        return str(json.loads((run / FAILED).read_text(encoding="utf-8"))["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _train(trial: Trial, run: Path, where: str, device: str, heard: Heard | None) -> None:
    if (run / SUMMARY).exists():
        return
    watch = Notes(run, where, heard)
    if (run / CONFIG).exists():
        resume(run, watch=watch)
    else:
        if run.exists():  # killed before it had begun
            shutil.rmtree(run)
        train(where, out=run, watch=watch, threads=1, device=device, **trial.asked())
    write_json(run / TRIAL, trial.as_json())


class Notes(Watch):
    """Takes down the gradients after each pass, and says how far the training is."""

    def __init__(self, run: Path, where: str, heard: Heard | None) -> None:
        self.path = run / FOLDER / f"{THROUGH}.json"
        self.run, self.where, self.heard = run, where, heard
        self.data: Data | None = None
        self.settings: Settings

    def began(self, settings: Settings, step: int) -> None:
        """Hear that updates begin."""
        self.settings = settings
        self.stepped(step, 0.0, 0)

    def stepped(self, step: int, loss: float, pictures: int) -> None:  # noqa: ARG002 - as a watcher has it
        """Hear of an update."""
        if self.heard:
            self.heard(step, self.settings.steps)

    def judged(self, network: Network | Vgg, line: dict[str, Any]) -> None:
        """Measure the gradients of a few held-out pictures."""
        self.data = self.data or look_at(self.where).parted(self.run)
        found = gradients(network, *some_of(self.data, self.settings))
        passes = self._before(line["epoch"])
        passes.append({"epoch": line["epoch"], **reached(found), **found.as_json()})
        self.path.parent.mkdir(exist_ok=True)
        write_json(self.path, {"passes": passes})

    def _before(self, epoch: int) -> list[dict[str, Any]]:
        """Return what was noted of earlier passes; a pass made again replaces what was noted of it."""
        try:
            passes = json.loads(self.path.read_text(encoding="utf-8"))["passes"]
        except FileNotFoundError:
            return []
        return [each for each in passes if each["epoch"] < epoch]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread, whose sums have the same last bits however many trials there are at once."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
