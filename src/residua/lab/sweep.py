"""A sweep: the trials of some experiments, each once, whoever began them; only what is missing is run."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from residua.errors import UserError
from residua.files import BusyError
from residua.lab.carrying import carry_out, is_done, is_trained, note_failure
from residua.lab.course import Course
from residua.lab.experiment import Experiment, Member
from residua.lab.trials import Trial
from residua.lab.workers import Task, Word, Workers
from residua.training.telling.stopping import StoppedError

PATIENCE = 2.0  # seconds before a trial that another sweep holds is looked at again
Planned = list[tuple[Experiment, list[tuple[Member, Trial]]]]


class Onlooker:
    """Hears of a sweep and does nothing: override what you want to hear of."""

    def began(self, course: Course, finished: int) -> None:
        """Hear how many trials there are, and how many were finished before."""

    def moved(self, course: Course) -> None:
        """Hear that something has moved."""

    def ended(self, course: Course, trial: Trial, reason: str | None) -> None:
        """Hear that a trial is over, and why it failed if it did."""

    def say(self, sentence: str) -> None:
        """Hear of anything else."""


class Sweep:
    """The missing trials of planned experiments, at work."""

    def __init__(
        self,
        planned: Planned,
        lab: Path,
        data: str,
        *,
        jobs: int = 1,
        device: str = "auto",
        onlooker: Onlooker | None = None,
        ended: Callable[[Trial], None] | None = None,
        more: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Find what is missing; `more` is to be measured too, by digest, of trials whose weights are here."""
        self.jobs, self.onlooker = max(1, jobs), onlooker or Onlooker()
        self._heard = ended or (lambda _trial: None)
        tasks, more = list(_tasks(planned, lab, data, device)), more or {}
        missing = [left for task in tasks if (left := _missing(task, more.get(task.trial.digest, ())))]
        self.finished = len(tasks) - len(missing)
        self._waiting = deque(missing)
        self._said: set[str] = set()  # the trials of which it was said that another sweep has them
        self.course = Course([task.trial for task in missing], self.jobs)

    def go(self) -> None:
        """Carry out everything; a trial that fails is named at the end, and the others go on."""
        self.onlooker.began(self.course, self.finished)
        if not self._waiting:
            return
        jobs = min(self.jobs, len(self._waiting))
        if jobs == 1:
            self._alone()
        else:
            self._together(jobs)

    def _alone(self) -> None:
        """Carry out one trial after the other in this process."""
        while self._waiting:
            task = self._next()

            def heard(step: int, steps: int, task: Task = task) -> None:
                self._moved(task, step / max(1, steps))

            try:
                carry_out(
                    task.trial,
                    task.run,
                    task.data,
                    task.measurements,
                    device=task.device,
                    heard=heard,
                )
            except BusyError:
                self._put_off(task)
                time.sleep(PATIENCE)
            except StoppedError:
                raise
            except UserError as error:
                self._ended(task, str(error))
            else:
                self._ended(task, None)

    def _together(self, jobs: int) -> None:
        """Hand the trials to as many processes."""
        busy = 0
        with Workers(jobs) as workers:
            while self._waiting or busy:
                while workers.free and self._waiting:
                    workers.give(self._next())
                    busy += 1
                word = workers.hear()
                if word.kind == "moved":
                    self._moved(word.task, word.share)
                else:
                    busy -= 1
                    self._hear(word)

    def _hear(self, word: Word) -> None:
        if word.kind == "busy":
            self._put_off(word.task)
            time.sleep(PATIENCE)
        else:
            if word.kind == "died":  # and could not say so itself
                note_failure(word.task.run, word.reason)
            self._ended(word.task, None if word.kind == "well" else word.reason)

    def _next(self) -> Task:
        task = self._waiting.popleft()
        self.course.began(task.trial)
        return task

    def _put_off(self, task: Task) -> None:
        """Try again later what another sweep holds: then it is done, or free."""
        self.course.put_off(task.trial)
        if not self._waiting and task.trial.digest not in self._said:
            self.onlooker.say(f"{task.run.name} is at work in another sweep: waiting for it.")
            self._said.add(task.trial.digest)
        self._waiting.append(task)

    def _moved(self, task: Task, share: float) -> None:
        self.course.moved(task.trial, share)
        self.onlooker.moved(self.course)

    def _ended(self, task: Task, reason: str | None) -> None:
        self.course.ended(task.trial, well=not reason)
        self.onlooker.ended(self.course, task.trial, reason)
        self._heard(task.trial)


def _tasks(planned: Planned, lab: Path, data: str, device: str) -> Iterable[Task]:
    """Every trial once, with all that any experiment measures of it, in the experiments' order."""
    found: dict[str, Task] = {}
    for experiment, trials in planned:
        for _, trial in trials:
            task = found.get(trial.digest)
            if task is None:
                task = Task(trial, trial.folder(lab), data, (), device)
            found[trial.digest] = replace(
                task, measurements=_joined(task.measurements, experiment.measurements)
            )
    return found.values()


def _missing(task: Task, more: Sequence[str]) -> Task | None:
    """Return what is to be done of a trial, and with it `more`, for which alone nothing is trained again."""
    whole = replace(task, measurements=_joined(task.measurements, more))
    wanted = whole if is_trained(task.run) else task
    return None if is_done(task.run, task.trial, wanted.measurements) else whole


def _joined(some: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*some, *others]))
