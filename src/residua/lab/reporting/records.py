"""What lies on the disk of an experiment at a scale: its results, how they were made, its trials' details."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from residua import __version__
from residua.errors import UserError, unknown
from residua.judging.runfiles import SUMMARY, read_metrics
from residua.lab import TRIALS
from residua.lab.catalogue import NAMES, experiment
from residua.lab.experiment import check_name
from residua.lab.kept import DRAWN
from residua.lab.makers import maker
from residua.lab.measurements import read_json, read_measured
from residua.lab.notes import notes_of
from residua.lab.results import RESULTS, folder_of, read_results
from residua.lab.scales import SCALES, settings_in_words
from residua.text import is_number

Values = Mapping[str, Any]
FIELDS = ("experiment", "title", "question", "scale", "complete", "networks", "trials", "summary", "claims")
ROWS = {  # and what each row of a list has
    "networks": {"label", "network", "parameters", "multiply_adds", "depth"},
    "trials": {"label", "seed", "trial", "digest", "state", "reason", "skipped", "values"},
    "claims": {"claim", "verdict", "why", "measured", "interval", "n"},
}


@dataclass(frozen=True)
class Course:
    """How one training went: a value for each pass, None where there is no number."""

    seed: int
    passes: Sequence[float]
    error: Sequence[float | None]  # of held-out pictures, in percent
    training_loss: Sequence[float | None]
    loss: Sequence[float | None]  # of held-out pictures


@dataclass(frozen=True)
class Record:
    """An experiment at a scale, as its files tell it."""

    lab: Path
    result: Values  # results.json
    made: Values  # made.json, nothing if there is none

    @property
    def folder(self) -> Path:
        """Where the results lie."""
        return folder_of(self.lab, self.name, self.scale)

    @property
    def name(self) -> str:
        """The experiment's name."""
        return str(self.result["experiment"])

    @property
    def scale(self) -> str:
        """The scale's name."""
        return str(self.result["scale"])

    @property
    def data(self) -> str:
        """The name of the pictures, without where they lie."""
        return Path(str(self.result.get("data") or "none")).name

    @property
    def trials(self) -> Sequence[Values]:
        """Every trial, finished or not."""
        trials: Sequence[Values] = self.result["trials"]
        return trials

    @property
    def claims(self) -> Sequence[Values]:
        """Every claim with its verdict."""
        claims: Sequence[Values] = self.result["claims"]
        return claims

    @cached_property
    def networks(self) -> dict[str, Values]:
        """What is counted of each network, by label."""
        return {row["label"]: row for row in self.result["networks"]}

    @cached_property
    def labels(self) -> list[str]:
        """The labels of which something was measured."""
        measured = {row["label"] for row in self.trials if row["values"]}
        return [label for label in self.networks if label in measured]

    def described(self, label: str) -> str:
        """Return what a network is, with the changes of its description and of its recipe."""
        row = self.networks[label]
        return f"{row['network']} {settings_in_words(row.get('recipe', {}))}".rstrip()

    @property
    def finished(self) -> int:
        """How many trials are over and measured."""
        return sum(row["state"] == "finished" for row in self.trials)

    @property
    def seeds(self) -> int:
        """How many trials there are to be of one network."""
        return len({row["seed"] for row in self.trials})

    @property
    def digest(self) -> str:
        """What tells these results from others, and a page of them from another."""
        text = json.dumps([__version__, self.result], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    @property
    def quantities(self) -> list[str]:
        """The names of all that was measured, in order."""
        return list(dict.fromkeys(name for row in self.trials for name in row["values"]))

    def values(self, label: str, quantity: str) -> dict[int, float]:
        """Return what was measured of a network, by seed."""
        rows = (row for row in self.trials if row["label"] == label)
        return {row["seed"]: row["values"][quantity] for row in rows if quantity in row["values"]}

    def middle(self, label: str, quantity: str) -> float | None:
        """Return the median over the seeds."""
        found = self.values(label, quantity)
        return median(found.values()) if found else None

    def measured(self, measurement: str) -> bool:
        """Whether anything was measured of this kind."""
        return any(name.startswith(f"{measurement}.") for name in self.quantities)

    def details(self, label: str, measurement: str) -> dict[int, Values]:
        """Return all that a measurement found of a network, by seed."""
        found = {row["seed"]: read_measured(self._run(row), measurement) for row in self._rows(label)}
        return {seed: each["detail"] for seed, each in found.items() if each and each["detail"] is not None}

    @property
    def finished_runs(self) -> list[Path]:
        """The folders of the trials that are over and measured."""
        return sorted({self._run(row) for row in self.trials if row["state"] == "finished"})

    @property
    def pictures(self) -> tuple[int, int]:
        """How many pictures were to learn from, and how many held out; 0 where that is not known."""
        told = next(filter(None, (read_json(run / SUMMARY) for run in self.finished_runs)), {})
        learned, held_out = (told.get(name) for name in ("train", "val"))
        return (learned, held_out) if isinstance(learned, int) and isinstance(held_out, int) else (0, 0)

    @cached_property
    def makers(self) -> list[Values]:
        """Who made each trial of which something was measured, once for all of its labels."""
        runs = {self._run(row) for row in self.trials if row["values"]}
        return [maker(run) for run in sorted(runs)]

    def courses(self, label: str) -> list[Course]:
        """Return how each training of a network went."""
        return [_course(row["seed"], self._run(row)) for row in self._rows(label) if self._run(row).exists()]

    def through_training(self, label: str) -> dict[int, list[Values]]:
        """Return the gradients that were taken down after each pass, by seed."""
        found: dict[int, list[Values]] = {
            row["seed"]: list(notes_of(self._run(row))) for row in self._rows(label)
        }
        return {seed: passes for seed, passes in found.items() if passes}

    def _rows(self, label: str) -> list[Values]:
        return [row for row in self.trials if row["label"] == label and row["values"]]

    def _run(self, row: Values) -> Path:
        return self.lab / TRIALS / str(row["trial"])


def read_record(lab: Path, name: str, scale: str) -> Record:
    """Read what an experiment came to at a scale; without any it is an error that says what to do."""
    check_name(name)  # it becomes part of a link
    result = read_results(lab, name, scale)
    if wrong := _wrong(result, name, scale):
        raise UserError(f"{folder_of(lab, name, scale) / RESULTS} {wrong}: run the experiment once more.")
    return Record(lab, result, maker(folder_of(lab, name, scale)))


def _wrong(result: Any, name: str, scale: str) -> str | None:
    """Say what of a file is not as a run writes it."""
    if not isinstance(result, dict):
        return "is no object"
    if missing := [field for field in FIELDS if field not in result]:
        return f"says nothing of {missing[0]}"
    if (result["experiment"], result["scale"]) != (name, scale):
        return "is of another experiment or scale"
    if not isinstance(result.get("training", {}), dict):
        return "has something else in place of its training"
    for field, fields in ROWS.items():
        rows = result[field]
        if not isinstance(rows, list) or not all(
            isinstance(row, dict) and row.keys() >= fields for row in rows
        ):
            return f"has something else in place of its {field}"
    if wrong := _wrong_trials(result["trials"]):
        return wrong
    labels = {str(row["label"]) for row in result["networks"]}
    if not isinstance(result["summary"], dict) or not result["summary"].keys() >= labels:
        return "sums up other networks"
    return None


def _wrong_trials(rows: list[Values]) -> str | None:
    if not all(re.fullmatch(r"\w[\w.-]*", str(row["trial"])) for row in rows):  # it becomes part of a path
        return "names a trial as no trial is named"
    values = [row["values"] for row in rows]
    if not all(isinstance(each, dict) and all(map(is_number, each.values())) for each in values):
        return "has something else in place of a trial's values"
    return None


def find_records(
    lab: Path,
    name: str | None = None,
    scale: str | None = None,
    say: Callable[[str], object] | None = None,
) -> list[Record]:
    """Return every experiment and scale of which there are results, or those asked for, in order.

    Of those that nobody asked for by name one that cannot be read stands in no other's way: it is said.
    """
    if scale and scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    there = [path.parent for each in SCALES for path in lab.glob(f"*/{each}/{RESULTS}")]
    chosen = [
        (folder.parent.name, folder.name)
        for folder in there
        if name in (None, folder.parent.name) and scale in (None, folder.name)
    ]
    if not chosen and name is not None:  # reading it says what to do
        known = any(folder.parent.name == name for folder in there)
        chosen = [(name if known else experiment(name).name, scale or next(iter(SCALES)))]
    records = []
    for each in sorted(chosen, key=_place):
        try:
            records.append(read_record(lab, *each))
        except UserError as error:
            if name or not say:
                raise
            say(str(error))
    return records


def _place(found: tuple[str, str]) -> tuple[int, str, int]:
    """Sort the experiments that come with Residua as they build on each other, and others behind them."""
    name, scale = found
    return NAMES.index(name) if name in NAMES else len(NAMES), name, list(SCALES).index(scale)


def _course(seed: int, run: Path) -> Course:
    lines = read_metrics(run)
    lines = [{name: line.get(name) for name in DRAWN} for line in lines if line["val_top1"] is not None]
    if not all(is_number(value) for line in lines for value in line.values()):
        raise UserError(f"the metrics of {run} hold what is no number: they were changed.")
    return Course(
        seed,
        [line["epoch"] for line in lines],
        [100 - line["val_top1"] for line in lines],
        [line["train_loss"] for line in lines],
        [line["val_loss"] for line in lines],
    )
