"""One trial carried out: trained, or gone on with, and measured; held by one process all the while."""

from __future__ import annotations

import contextlib
import shutil
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from residua.errors import UserError
from residua.files import BusyError, claimed
from residua.judging.runfiles import CONFIG, LAST, SUMMARY
from residua.lab.makers import noted
from residua.lab.measurements import ERROR, HOW, applies, measure, read_json, read_measured, write_json
from residua.lab.notes import Heard, Notes
from residua.lab.pictures import changed, look_at
from residua.lab.trained import Trained
from residua.lab.trials import Trial
from residua.training.keeping.folder import STATE
from residua.training.running import resume, train
from residua.training.telling.stopping import StoppedError

TRIAL, FAILED = "trial.json", "failed.json"


def is_done(run: Path, trial: Trial, measurements: Sequence[str]) -> bool:
    """Whether a trial has been trained and all of this measured."""
    wanted = [ERROR, *(name for name in measurements if applies(name, trial.spec))]
    return (run / TRIAL).exists() and all(read_measured(run, name) for name in wanted)


def is_trained(run: Path) -> bool:
    """Whether a training is over and its weights are here, so that more can be measured of it."""
    return (run / SUMMARY).exists() and (run / LAST).exists()


def again(run: Path) -> Path:
    """Return where a trial is trained again of which only results are here: they stay until that is over."""
    return run.with_name(f".{run.name}.again")


def put(new: Path, run: Path) -> None:
    """Put a folder into a trial's place, whole: never are files of two trainings in one folder."""
    old = run.with_name(f".{run.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if run.exists():
        run.rename(old)
    new.rename(run)
    shutil.rmtree(old, ignore_errors=True)


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
    try:
        run.parent.mkdir(parents=True, exist_ok=True)
        with claimed(run), _exactly():
            if again(run).exists() and not run.exists():  # killed while it was put there
                again(run).rename(run)
            if not is_done(run, trial, measurements):
                (run / FAILED).unlink(missing_ok=True)
                here = [name for name in HOW if read_measured(run, name)]
                place = again(run) if here and not is_trained(run) else run
                with noted(place, trial.device, trial.precision):
                    _train(trial, place, where, device, heard)
                    _measure(place, where, device, [*measurements, *here])
                if place != run:
                    put(place, run)
    except (StoppedError, BusyError):
        raise
    except Exception as error:  # whatever it is, the other trials go on
        reason = in_short(error)
        note_failure(run, reason, "".join(traceback.format_exception(error)))
        raise UserError(f"{trial.name} failed: {reason}") from error


def note_failure(run: Path, reason: str, details: str = "") -> None:
    """Write down why a trial could not be carried out, if that can be written."""
    with contextlib.suppress(OSError, UserError):
        run.mkdir(parents=True, exist_ok=True)
        write_json(run / FAILED, {"reason": reason, "details": details})


def failure(run: Path) -> str | None:
    """Return why a trial could not be carried out when it was last tried."""
    reason = read_json(run / FAILED).get("reason")
    return None if reason is None else str(reason)


def in_short(error: Exception) -> str:
    """Say an error in a line; of one that nobody foresaw, which it is."""
    said, kind = str(error).partition("\n")[0], type(error).__name__
    if not said:
        return kind
    return said if isinstance(error, (UserError, RuntimeError, OSError)) else f"{kind}: {said}"


def _train(trial: Trial, run: Path, where: str, device: str, heard: Heard | None) -> None:
    if not is_trained(run):
        if look_at(where).digest != trial.pictures:
            raise changed(where)
        watch = Notes(run, where, heard)
        if (run / CONFIG).exists() and not (run / SUMMARY).exists():
            resume(run, data=where, device=device, watch=watch)
        else:
            if run.exists():  # killed before it had begun, or its weights are gone
                shutil.rmtree(run)
            train(where, out=run, watch=watch, threads=1, device=device, **trial.asked())
    if not (run / TRIAL).exists():
        write_json(run / TRIAL, trial.as_json())


def _measure(run: Path, where: str, device: str, measurements: Sequence[str]) -> None:
    trained = Trained(run, look_at(where).parted(run), device)
    for name in dict.fromkeys((ERROR, *measurements)):
        measure(trained, name)
    shutil.rmtree(run / STATE, ignore_errors=True)  # checkpoints, the larger part of a run


@contextlib.contextmanager
def _exactly() -> Iterator[None]:
    """Compute in whole fp32 with one thread: sums have the same last bits however many trials there are."""
    matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn
    before = torch.get_num_threads(), matmul.allow_tf32, convolution.allow_tf32, convolution.deterministic
    torch.set_num_threads(1)
    matmul.allow_tf32 = convolution.allow_tf32 = False
    convolution.deterministic = True  # what is measured inside a network too
    try:
        yield
    finally:
        threads, matmul.allow_tf32, convolution.allow_tf32, convolution.deterministic = before
        torch.set_num_threads(threads)
