"""What came of an experiment: read from the trials on the disk, summed up, judged and written beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from residua.data.sources.table import table_text
from residua.errors import UserError
from residua.files import write_text
from residua.judging.runfiles import SUMMARY
from residua.lab import TRIALS
from residua.lab.bypicture import Each
from residua.lab.carrying import failure, is_done
from residua.lab.chance import Sample, Spread
from residua.lab.claims import COUNTED, Claim
from residua.lab.experiment import Experiment, Member
from residua.lab.measurements import ERROR, Found, applies, by_picture, read_json, read_measured, write_json
from residua.lab.scales import settings_in_words
from residua.lab.trials import Trial
from residua.lab.verdicts import APART, REMARK, UNTRAINED, Verdict, judged_bound, judged_number, judged_order
from residua.nets.plan import plan
from residua.nets.spec import AnySpec
from residua.nets.zoo import title
from residua.text import finite, parse_json

RESULTS, TABLE = "results.json", "results.csv"
State = Literal["finished", "failed", "missing"]


@dataclass(frozen=True)
class Row:
    """One trial of an experiment."""

    label: str
    network: str
    seed: int
    trial: str  # its folder below trials/
    digest: str
    state: State
    reason: str | None  # why it failed
    passes: int
    skipped: int  # updates left out because the loss was no number
    values: Mapping[str, float]  # by quantity, as claims name them

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Results:
    """Everything that is known of an experiment at a scale."""

    experiment: Experiment
    scale: str
    data: str | None
    cifar: int | None  # classes of pictures such as CIFAR's
    lab: Path
    members: Sequence[Member]
    rows: Sequence[Row]
    troubles: Sequence[str] = ()  # why something beside the results could not be written: pages, what is kept

    @property
    def folder(self) -> Path:
        """Where the results are written."""
        return folder_of(self.lab, self.experiment.name, self.scale)

    @property
    def complete(self) -> bool:
        """Whether every trial has been carried out."""
        return all(row.state == "finished" for row in self.rows)

    @cached_property
    def counted(self) -> dict[str, dict[str, float]]:
        """Return what needs no training of each label: parameters, multiply-adds, depth."""
        return {member.label: counts(member.spec, self.experiment.trained) for member in self.members}

    def quantities(self) -> list[str]:
        """Return the names of all that was measured, in order."""
        return list(dict.fromkeys(name for row in self.rows for name in row.values))

    def sample(self, label: str, quantity: str) -> Sample:
        """Return a quantity of a network, by seed."""
        if quantity in COUNTED:
            value = self.counted.get(label, {}).get(quantity)
            return Sample({} if value is None else {0: value})
        each = {row.seed: self._by_picture(row, quantity) for row in self.rows if row.label == label}
        wrong = {seed: numbers for seed, numbers in each.items() if numbers is not None}
        return Sample(self._values(label, quantity), wrong)

    def summary(self) -> dict[str, dict[str, Spread]]:
        """Return n, median and spread of every quantity of every network."""
        return {
            member.label: {
                quantity: spread
                for quantity in self.quantities()
                if (spread := Sample(self._values(member.label, quantity)).spread)
            }
            for member in self.members
        }

    def verdicts(self) -> list[Verdict]:
        """Judge every claim that the experiment is about."""
        return [self._verdict(claim) for claim in self.experiment.claims]

    def measured(self, row: Row, name: str) -> Found | None:
        """Return all that a measurement found of a trial, for its figures.

        The names are those of `Experiment.measurements`, and "error". What could not be measured of this
        network has the detail None, and says `why_not`.
        """
        return read_measured(self.lab / TRIALS / row.trial, name)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain data: the same bytes wherever the same was measured."""
        return {
            "experiment": self.experiment.name,
            "title": self.experiment.title,
            "question": self.experiment.question,
            "scale": self.scale,
            "data": self.data,
            "classes": self.cifar,
            "training": self.experiment.scale(self.scale).settings if self.experiment.trained else {},
            "complete": self.complete,
            "networks": [
                {
                    "label": member.label,
                    "network": title(member.spec),
                    "recipe": dict(member.changes),
                    **self.counted[member.label],
                }
                for member in self.members
            ],
            "trials": [row.as_json() for row in self.rows],
            "summary": {
                label: {quantity: spread.as_json() for quantity, spread in found.items()}
                for label, found in self.summary().items()
            },
            "claims": [self._told(verdict) for verdict in self.verdicts()],
        }

    def write(self) -> None:
        """Write them as JSON and as a table, each whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / RESULTS, self.as_json())
        write_text(self.folder / TABLE, self._table())

    def _table(self) -> str:
        quantities = self.quantities()
        first = ["label", "network", "recipe", "seed", "state", "passes"]
        rows: list[list[object]] = [[*first, *quantities, *COUNTED, "trial"]]
        recipes = {member.label: settings_in_words(member.changes) for member in self.members}
        for row in self.rows:
            measured = [row.values.get(quantity, "") for quantity in quantities]
            counted = [self.counted[row.label].get(name, "") for name in COUNTED]
            rows.append(
                [
                    *(row.label, row.network, recipes[row.label], row.seed, row.state, row.passes),
                    *(*measured, *counted, row.trial),
                ]
            )
        if not self.rows:
            for member in self.members:
                counted = [self.counted[member.label].get(name, "") for name in COUNTED]
                rows.append([member.label, title(member.spec), "", "", "counted", "", *counted, ""])
        return table_text(rows)

    def _labels(self, claim: Claim) -> dict[str, str]:
        return claim.labels(*self.experiment.scale(self.scale).ends)

    def _told(self, verdict: Verdict) -> dict[str, Any]:
        """Return a verdict as plain data, the claim's labels as they are at this scale."""
        told = verdict.as_json()
        return {**told, "claim": {**told["claim"], **self._labels(verdict.claim)}}

    def _verdict(self, claim: Claim) -> Verdict:
        named = self._labels(claim)
        of, over, less, than = (named.get(name) for name in ("of", "over", "less", "than"))
        if why := self._apart(claim, list(named.values())):
            return Verdict(claim, APART, why, *self._beside(of, claim))
        if less and than:
            return self._order(claim, less, than)
        sample, others = self.sample(of or "", claim.quantity), self._others(claim, of)
        if over:
            divisor = self.sample(over, claim.quantity).values
            sample = Sample({s: v / divisor[s] for s, v in sample.values.items() if divisor.get(s)})
            others = []
        judge = judged_bound if claim.bounded else judged_number
        return judge(claim, sample, others)

    def _order(self, claim: Claim, less: str, than: str) -> Verdict:
        """Judge an order; one that is about networks of like cost says how alike that is."""
        both = self.sample(less, claim.quantity), self.sample(than, claim.quantity)
        found = judged_order(claim, *both, self._others(claim, less, than))
        if claim.cost is None:
            return found
        ratio = self.counted[less]["multiply_adds"] / self.counted[than]["multiply_adds"]
        cost = f"{less} has {ratio:.2f} times the multiply-adds of {than}"
        if abs(ratio - 1) > claim.cost:
            return replace(found, word=APART, why=f"{cost}, which is not the same cost")
        return replace(found, why=f"{found.why}; {cost}")

    def _others(self, claim: Claim, *labels: str | None) -> list[Sample]:
        """Return what was measured of all other networks."""
        if claim.exact:
            return []
        others = (member.label for member in self.members if member.label not in labels)
        return [Sample(self._values(label, claim.quantity)) for label in others]

    def _values(self, label: str, quantity: str) -> dict[int, float]:
        rows = (row for row in self.rows if row.label == label)
        return {row.seed: row.values[quantity] for row in rows if quantity in row.values}

    def _apart(self, claim: Claim, labels: Sequence[str]) -> str | None:
        """Say why a claim cannot be judged by these results."""
        if not labels:
            return REMARK
        if not claim.trained:
            return UNTRAINED
        known = {member.label for member in self.members}
        if missing := [label for label in labels if label not in known]:
            return f"{missing[0]} is not trained at this scale"
        if claim.beside:
            return claim.beside
        if claim.exact or claim.less or claim.everywhere:
            return None
        if self.scale != "paper":
            return "another scale"
        if self.cifar != claim.classes:
            return f"CIFAR-{claim.classes} is meant: 50,000 pictures of 32x32 in colour"
        return None

    def _beside(self, of: str | None, claim: Claim) -> tuple[float | None, None, int]:
        """Return what was measured, to stand beside a number that it is not to be judged by."""
        found = self.sample(of, claim.quantity).spread if of and not claim.over else None
        return (found.median, None, found.n) if found else (None, None, 0)

    def _by_picture(self, row: Row, quantity: str) -> Each | None:
        measurement, _, own = quantity.partition(".")
        return by_picture(self.measured(row, measurement if own else ERROR), own or quantity)


def folder_of(lab: Path, experiment: str, scale: str) -> Path:
    """Return where an experiment's results lie."""
    return lab / experiment / scale


def gather(
    experiment: Experiment,
    scale: str,
    trials: Sequence[tuple[Member, Trial]],
    lab: Path,
    data: str | None = None,
    cifar: int | None = None,
) -> Results:
    """Read what the trials have come to so far; `cifar` are the classes of pictures such as CIFAR's."""
    rows = [_row(member, trial, lab, experiment.measurements) for member, trial in trials]
    return Results(experiment, scale, data, cifar, lab, experiment.members(scale), rows)


@cache
def counts(spec: AnySpec, trained: bool = False) -> dict[str, float]:
    """Return what is known of a network as published; one that is trained is counted for CIFAR's pictures."""
    planned = plan(spec)
    if trained:
        with contextlib.suppress(UserError):  # they are too small for it
            planned = plan(spec.edit(input_size=32, in_channels=3, num_classes=10))
    unit = planned.stages[0].blocks[-1][1]
    weights = sum(layer.parameters for _, layer in unit.main if layer.kind == "convolution")
    return {
        "parameters": planned.parameters,
        "multiply_adds": planned.multiply_adds,
        "depth": planned.depth,
        "unit_weights": weights,  # of the convolutions in the last unit of the first stage
    }


def read_results(lab: Path, experiment: str, scale: str) -> dict[str, Any]:
    """Return what the last run of an experiment wrote."""
    path = folder_of(lab, experiment, scale) / RESULTS
    try:
        found: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
        if finite(found) != found:
            raise ValueError("it has a number that is none")
    except FileNotFoundError:
        raise UserError(
            f"{experiment} has not been run at scale {scale} below {lab}: "
            f"`residua lab run {experiment} --scale {scale}` does that."
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None
    return found


def _row(member: Member, trial: Trial, lab: Path, measurements: Sequence[str]) -> Row:
    run = trial.folder(lab)
    done = is_done(run, trial, measurements)
    reason = None if done else failure(run)
    summary = read_json(run / SUMMARY)
    return Row(
        member.label,
        title(trial.spec),
        trial.seed,
        trial.name,
        trial.digest,
        "finished" if done else "failed" if reason else "missing",
        reason,
        _number(summary, "epochs"),
        _number(summary, "skipped"),
        _values(run, trial, measurements),
    )


def _number(summary: Mapping[str, Any], name: str) -> int:
    found = summary.get(name)
    return found if isinstance(found, int) else 0


def _values(run: Path, trial: Trial, measurements: Sequence[str]) -> dict[str, float]:
    """Return every quantity that has been measured of a trial."""
    values: dict[str, float] = {}
    for name in (ERROR, *measurements):
        found = read_measured(run, name) if applies(name, trial.spec) else None
        prefix = "" if name == ERROR else f"{name}."
        for quantity, value in (found or {"summary": {}})["summary"].items():
            if value is not None:
                values[f"{prefix}{quantity}"] = value
    return values
