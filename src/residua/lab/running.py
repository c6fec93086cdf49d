"""Experiments from Python in one call: run what is missing, and return what all of it says."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from residua.data.ahead import processors
from residua.errors import UserError
from residua.files import check_folder
from residua.lab import LAB
from residua.lab.catalogue import experiment as named
from residua.lab.catalogue import experiments
from residua.lab.experiment import Experiment
from residua.lab.pictures import look_at
from residua.lab.results import Results
from residua.lab.scales import MOST_SEEDS
from residua.lab.sweep import Onlooker, Planned, Sweep
from residua.lab.trials import trials
from residua.lab.written import Written
from residua.nets.devices import check_precision, device_named
from residua.nets.values import at_least, within
from residua.training.settling.room import free_memory

MOST_JOBS, GPU_JOBS = 8, 4
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
    precision: str = "fp32",
    compiled: bool = False,
    out: str | os.PathLike[str] = LAB,
    kept: str | os.PathLike[str] | None = None,
    onlooker: Onlooker | None = None,
    command: Sequence[str] | None = None,
    report: bool = True,
) -> list[Results]:
    """Run experiments, which share their trials, and return their results in order.

    Each training has one thread, so that its bits are the same however many there are at once: as many as
    there are processors, at most eight, or four on a GPU, half of whose free memory must have room for them,
    unless `jobs` says otherwise. `precision` is fp32, or bf16 where that is faster.

    After every trial the results of the experiments that it is part of are written below `out`: a sweep that
    is stopped leaves a valid part, and the next one goes on from there. A trial that fails does not stop the
    others; `Results.rows` says why it did. What is small of each finished trial goes into the folder `kept`,
    and what is there from another machine is not run again; as it holds no weights, all that any experiment
    measures of a trial is measured then. `Results.troubles` says what could not be kept, or which page not be
    written. Without `report` no pages are written.
    """
    within("seeds", seeds, 1, MOST_SEEDS, closed=True)
    at_least("jobs", jobs, 1)
    lab, chosen, onlooker = Path(out), [named(each) for each in which], onlooker or Onlooker()
    keeping = Path(kept) if kept else None
    if keeping:
        check_folder(keeping, "kept")
    check_folder(lab, "written")
    where, device = _data(chosen, scale, data), device_named(device)
    kind = torch.device(device).type
    if data and not where:
        onlooker.say("Nothing is to be trained: --data is not looked at.")
    look_at.cache_clear()  # they may have changed since
    pictures = look_at(where) if where else None
    how: dict[str, Any] = {"device": kind, "precision": precision, "compiled": compiled}
    planned: Planned = [
        (
            each,
            trials(each, scale, pictures.digest, seeds, **how, photos=pictures.photos) if pictures else [],
        )
        for each in chosen
    ]
    command, say = command or sys.argv, onlooker.say
    written = Written(planned, scale, lab, where, pictures, keeping, report, command, say)
    for sentence in (*written.replacing(), *written.take()):
        say(sentence)
    jobs = jobs or _usual_jobs(device, planned, pictures.side if pictures else 0)
    settings: dict[str, Any] = {"jobs": jobs, "device": device, "onlooker": onlooker}
    if keeping:
        settings["more"] = _measured_anywhere(planned, scale)
    sweep = Sweep(planned, lab, where or "", **settings, ended=written.trial)
    if sweep.course.total:
        check_precision(precision, kind)
    try:
        sweep.go()
    finally:
        results = written.finish()
    return results


def _measured_anywhere(planned: Planned, scale: str) -> dict[str, list[str]]:
    """Return by digest what the experiments that come with Residua measure of these trials."""
    found: dict[str, list[str]] = {}
    some = [trial for _, own in planned for _, trial in own]
    for each in experiments() if some else ():
        computed = {name: getattr(some[0], name) for name in ("device", "precision", "compiled", "photos")}
        seeds = 1 + max(trial.seed for trial in some)
        for _, trial in trials(each, scale, some[0].pictures, seeds, **computed):
            found.setdefault(trial.digest, []).extend(each.measurements)
    return found


def _usual_jobs(device: str, planned: Planned, side: int) -> int:
    """As many as there are processors; on a GPU no more than half of its free memory has room for."""
    if device == "cpu":
        return min(MOST_JOBS, processors())
    largest = max((trial.memory(side) for _, own in planned for _, trial in own), default=1)
    return max(1, min(GPU_JOBS, processors(), free_memory(device) // 2 // largest))


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
