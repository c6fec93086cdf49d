"""What a sweep leaves behind, kept up to date: results, pages, who made them, and trials kept elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from residua.errors import UserError
from residua.lab.carrying import in_short, is_done
from residua.lab.experiment import Experiment, Member
from residua.lab.kept import keep, take
from residua.lab.makers import MADE, maker
from residua.lab.measurements import write_json
from residua.lab.pictures import Pictures
from residua.lab.reporting.keeping import Pages
from residua.lab.results import Results, folder_of, gather, read_results
from residua.lab.sweep import Planned
from residua.lab.trials import Trial
from residua.training.keeping.environment import environment


@dataclass
class Written:
    """The files of planned experiments."""

    planned: Planned
    scale: str
    lab: Path
    where: str | None  # the data
    pictures: Pictures | None
    kept: Path | None  # where finished trials are kept
    report: bool
    command: Sequence[str]
    say: Callable[[str], None]
    _told: set[str] = field(default_factory=set)
    _troubles: dict[str, None] = field(default_factory=dict)  # sentences, each once
    _new: set[str] = field(default_factory=set)  # experiments whose results are not those of before

    def replacing(self) -> Iterator[str]:
        """Say of which experiments there are results of other trials, which are replaced."""
        for each, own in self.planned:
            try:
                before = {row["digest"] for row in read_results(self.lab, each.name, self.scale)["trials"]}
            except (UserError, KeyError, TypeError):  # there are none, or nobody can read them
                continue
            if others := before - {trial.digest for _, trial in own}:
                self._new.add(each.name)
                folder = folder_of(self.lab, each.name, self.scale)
                yield (
                    f"{folder} has results of {len(others):,} trainings that are not of this run (other "
                    "data, seeds or settings): its results replace them, and the trainings stay."
                )

    def take(self) -> Iterator[str]:
        """Bring back the trials that were kept and are not here, and say which could not be."""
        for each, own in self.planned:
            for _, trial in own:
                if self.kept and not is_done(trial.folder(self.lab), trial, each.measurements):
                    try:
                        take(trial, trial.folder(self.lab), self.kept, each.measurements)
                    except UserError as error:
                        yield f"{error} The trial is run here."

    def trial(self, trial: Trial) -> None:
        """Write the results that a trial is part of, as it is over; no error of that ends a sweep."""
        for each, own in self.planned:
            if any(trial.digest == other.digest for _, other in own):
                self._new.add(each.name)
                with self._apart(f"the results of {each.name}"):
                    self._write(each, own)
                self._keep(each, trial)
                if self.report:
                    self._pages.changed(each.name)

    def finish(self) -> list[Results]:
        """Write everything once more, the results first, and return them."""
        found = [self._write(each, own) for each, own in self.planned]
        self._troubles.clear()
        for each, own in self.planned:
            for _, trial in own:
                self._keep(each, trial)
        if self.report:
            self._pages.finish()
        return [replace(each, troubles=tuple(self._troubles)) for each in found]

    def _keep(self, each: Experiment, trial: Trial) -> None:
        run = trial.folder(self.lab)
        with self._apart(f"what is kept of {trial.name}"):
            if self.kept and is_done(run, trial, each.measurements):
                self._tell(keep(run, self.kept))

    @contextlib.contextmanager
    def _apart(self, what: str) -> Iterator[None]:
        """Say what goes wrong with what is beside the results, which ends no sweep."""
        try:
            yield
        except Exception as error:  # whatever it is, hours of training are there
            said = f"{what} cannot be written: {in_short(error)}."
            if isinstance(error, UserError):
                said = str(error)
            self._troubles[said] = None
            self._tell(said)

    def _tell(self, sentence: str | None) -> None:
        """Say something once."""
        if sentence and sentence not in self._told:
            self._told.add(sentence)
            self.say(sentence)

    def _write(self, each: Experiment, own: Sequence[tuple[Member, Trial]]) -> Results:
        cifar = self.pictures.cifar if self.pictures else None
        found = gather(each, self.scale, own, self.lab, self.where if each.trained else None, cifar)
        found.write()
        if each.name in self._new or not each.trained or not maker(found.folder):
            write_json(found.folder / MADE, self._made)
        return found

    @cached_property
    def _made(self) -> dict[str, Any]:
        return {"command": list(self.command), "environment": environment()}

    @cached_property
    def _pages(self) -> Pages:
        return Pages(self.lab, [each.name for each, _ in self.planned], self.scale, self._apart)
