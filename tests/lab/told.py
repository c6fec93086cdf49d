"""Labs that nobody ran: the files that trials would have left, with made-up numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from residua.lab.bypicture import packed
from residua.lab.catalogue import experiment as named
from residua.lab.experiment import Experiment
from residua.lab.makers import MADE
from residua.lab.measurements import applies, write_json, write_measured
from residua.lab.notes import note
from residua.lab.results import Results, gather
from residua.lab.trials import Trial, trials

HELD_OUT, UNITS, PASSES = 40, 3, 3
MADE_BY: dict[str, Any] = {
    "command": ["residua", "lab", "run", "it's", "<b>"],
    "environment": {
        "residua": "0.1.0",
        "python": "3.11",
        "libraries": {"torch": "2.13"},
        "platform": "Linux",
        "instructions": "AVX2",
        "processor": "a processor",
        "processors": 2,
        "gpus": [],
    },
    "device": "cpu",
    "seconds": 7.0,
}


def write_lab(
    lab: Path, which: str | Experiment, scale: str = "quick", without: Sequence[tuple[str, int]] = ()
) -> Results:
    """An experiment as if it had been run, but for some trials (label and seed)."""
    chosen = named(which)
    planned = trials(chosen, scale, "made up")
    for place, (member, trial) in enumerate(planned):
        if (member.label, trial.seed) not in without:
            write_trial(trial.folder(lab), trial, chosen.measurements, place)
    found = gather(chosen, scale, planned, lab, "digits" if chosen.trained else None, 10)
    found.write()
    write_json(found.folder / MADE, {name: MADE_BY[name] for name in ("command", "environment")})
    return found


def write_trial(run: Path, trial: Trial, measurements: Sequence[str], place: int) -> None:
    """The files of a trial; the place among the others decides its numbers."""
    (run / "measured").mkdir(parents=True, exist_ok=True)
    draws = np.random.default_rng(place)
    wrong = draws.random(HELD_OUT) < 0.1 + 0.02 * (place % 10)
    error = 100 * float(wrong.mean())
    write_json(run / "trial.json", trial.as_json())
    write_json(run / MADE, MADE_BY)
    came_to = {"data": "/home/me/digits", "train": 1618, "val": 179}
    write_json(run / "summary.json", {**came_to, "epochs": PASSES, "skipped": 2 * (place == 1)})
    lines = [
        {
            "epoch": each,
            "step": each,
            "train_loss": 2 / each,
            "val_loss": 3 / each,
            "val_top1": 100 - error / each,
        }
        for each in range(1, PASSES + 1)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found: dict[str, Mapping[str, Any]] = {
        "error": {
            "summary": {"error": error, "train_error": error / 2},
            "detail": {"held_out": HELD_OUT},
            "by_picture": {"error": packed(wrong)},
        },
    }
    found |= {name: MEASURED[name](draws) for name in measurements if applies(name, trial.spec)}
    for name, values in found.items():
        write_measured(run, name, dict(values))
    for each in range(1, PASSES + 1):
        note(run, each, [each / 2, 0.8, 0.9, 1.0])


def _responses(draws: np.random.Generator) -> dict[str, Any]:
    layers = [
        {
            "layer": f"conv{n}",
            "measured": ["norm", "convolution"][n % 2],
            "mean": 0.0,
            "deviation": draws.random(),
        }
        for n in range(UNITS)
    ]
    return {"summary": {"deviation": 0.5 + draws.random()}, "detail": {"samples": 8, "layers": layers}}


def _gradients(draws: np.random.Generator) -> dict[str, Any]:
    terms = {
        "until": "unit2",
        "end": 0.3,
        "product": 0.5,
        "predicted": 0.15,
        "direct": 0.1,
        "through": 0.2,
        "exact": False,
    }
    units: list[dict[str, Any]] = [
        {
            "name": f"unit{n}",
            "norm": 0.1 + draws.random(),
            "near_zero": 0.0,
            "least": 0.2,
            "factor": 1.0,
            "terms": terms if n else None,
            "breaks": [],
        }
        for n in range(UNITS)
    ]
    stage = {"samples": 8, "near": 0.1, "units": units, "end": 0.3}
    summary = {f"{name}_ratio": 0.5 + draws.random() for name in ("initial", "final")}
    summary |= {f"{name}_near_zero": 0.0 for name in ("initial", "final")}
    return {"summary": summary, "detail": {"initial": stage, "final": stage}}


def _lesions(draws: np.random.Generator) -> dict[str, Any]:
    units = [{"name": f"unit{n}", "error": 50 * draws.random() if n else None} for n in range(UNITS)]
    each = {"samples": 8, "error": 10.0, "units": units, "saved": 0.5}
    rows = [
        {
            "count": n,
            "trials": [{"units": ["unit1"] * n, "error": 90 * draws.random(), "tau": 0.5}] * 2,
            "tau": 0.5,
        }
        for n in (1, 2)
    ]
    random = {"samples": 8, "error": 10.0, "seed": 0, "rows": rows}
    names = (
        "all_removed",
        "one_removed",
        "worst_removed",
        "one_lost",
        "dotted_removed",
        "dotted_more",
        "rise",
    )
    summary = {name: 90 * draws.random() for name in names}
    return {"summary": summary, "detail": {"each": each, "at_random": random, "swaps": random}}


def _paths(draws: np.random.Generator) -> dict[str, Any]:
    lengths = [
        {"length": n, "paths": n, "magnitude": 0.1 + draws.random(), "total": 1.0, "share": 1 / (UNITS + 1)}
        for n in range(UNITS + 1)
    ]
    detail = {"samples": 8, "draws": 2, "seed": 0, "units": UNITS, "lengths": lengths, "share": 0.95}
    summary = {"effective_low": 1, "effective_high": 3, "effective_share": 0.9, "gradient_length": 0.3}
    return {"summary": summary, "detail": detail}


def _statistics(draws: np.random.Generator) -> dict[str, Any]:
    return {"summary": {name: 20 * draws.random() for name in ("running", "batch", "exact")}, "detail": {}}


MEASURED = {
    "responses": _responses,
    "gradients": _gradients,
    "lesions": _lesions,
    "paths": _paths,
    "statistics": _statistics,
}
