"""Experiments from Python in one call: run what is missing, and return what all of it says."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from residua.data.ahead import processors
from residua.errors import UserError
from residua.lab.catalogue import experiment as named
from residua.lab.experiment import Experiment
from residua.lab.measurements import write_json
from residua.lab.pictures import Pictures, look_at
from residua.lab.reporting.keeping import Pages
from residua.lab.results import MADE, Results, gather
from residua.lab.sweep import Onlooker, Planned, Sweep
from residua.lab.trials import Trial, trials
from residua.nets.devices import device_named
from residua.nets.values import at_least
from residua.training.keeping.environment import environment

LAB = Path("runs", "lab")
MOST_JOBS = 8
Which = str | os.PathLike[str] | Experiment


def run_experiment(which: Which, **settings: Any) -> Results:
    """Run an experiment (a name, a YAML file or an `Experiment`) and return its results.

    Settings are those of `run_experiments`. What is finished below `out` is not run again.

    >>> run_experiment("shortcuts", scale="quick").verdicts()[0].word  # doctest: +SKIP
    'holds'
    """
    return run_experiments([which], **settings)[0]


def run_experiments(
    which: Iterable[Which],
    *,
    scale: str = "quick",
    data: str | os.PathLike[str] | None = None,
    seeds: int | None = None,
    jobs: int | None = None,
    device: str = "auto",
    out: str | os.PathLike[str] = LAB,
    onlooker: Onlooker | None = None,
    command: Sequence[str] | None = None,
    report: bool = True,
) -> list[Results]:
    """Run experiments, which share their trials, and return their results in order.

    Each training has one thread, so that its bits are the same however many there are at once: as many as
    there are processors, at most eight, and on a GPU one, unless `jobs` says otherwise.

    After every trial the results of the experiments that it is part of are written below `out`: a sweep that
    is stopped leaves a valid part, and the next one goes on from there. A trial that fails does not stop the
    others; `Results.rows` says why it did. Without `report` no pages are written.
    """
    at_least("seeds", seeds, 1)
    at_least("jobs", jobs, 1)
    jobs = jobs or _usual_jobs(device)
    lab, chosen = Path(out), [named(each) for each in which]
    where = _data(chosen, scale, data)
    look_at.cache_clear()  # they may have changed since
    pictures = look_at(where) if where else None
    planned: Planned = [
        (each, trials(each, scale, pictures.digest, seeds) if pictures else []) for each in chosen
    ]
    pages = Pages(lab, [each.name for each in chosen], scale)
    made = {
        "command": list(command or sys.argv),
        "environment": environment(),
        "jobs": jobs,
        "began": datetime.now(UTC).isoformat(),
    }

    def write(trial: Trial) -> None:
        for each, own in planned:
            if any(trial.digest == other.digest for _, other in own):
                _gathered(each, scale, own, lab, where, pictures).write()
                if report:
                    pages.changed(each.name)

    began = time.monotonic()
    sweep = Sweep(planned, lab, where or "", jobs=jobs, device=device, onlooker=onlooker, ended=write)
    try:
        sweep.go()
    finally:
        made |= {"seconds": round(time.monotonic() - began, 1)}
        results = [_gathered(each, scale, own, lab, where, pictures) for each, own in planned]
        for found in results:
            found.write()
            write_json(found.folder / MADE, made)
        if report:
            pages.finish()
    return results


def _usual_jobs(device: str) -> int:
    return min(MOST_JOBS, processors()) if device_named(device) == "cpu" else 1


def _gathered(
    each: Experiment, scale: str, own: Any, lab: Path, where: str | None, pictures: Pictures | None
) -> Results:
    classes = len(pictures.data.classes) if pictures else None
    return gather(each, scale, own, lab, where if each.trained else None, classes)


def _data(chosen: Sequence[Experiment], scale: str, data: str | os.PathLike[str] | None) -> str | None:
    """Return the one data set of a sweep; None where nothing is trained."""
    trained = [each for each in chosen if each.trained]
    if not trained:
        for each in chosen:
            each.members(scale)
        return None
    wanted = {os.fspath(data)} if data else {each.scale(scale).data for each in trained}
    if None in wanted:
        raise UserError(f"scale {scale} needs pictures to train on: say with --data where they are.")
    if len(wanted) > 1:
        raise UserError("these experiments have data of their own each: run them one by one.")
    return wanted.pop()
