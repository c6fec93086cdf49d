"""How far a sweep is, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from residua.lab.trials import Trial
from residua.nets.plan import plan

SIDE = 32  # of the pictures by which networks are compared
FIXED = 20_000_000  # multiply-adds for a picture that everything but the network's own is worth


@dataclass
class Running:
    """A trial at work: how much of it was done when it went on, and is now."""

    began: float  # by the monotonic clock
    before: float | None = None  # None: it was not heard of yet
    share: float = 0.0

    @property
    def seconds(self) -> float:
        """For how long it has been at work."""
        return time.monotonic() - self.began

    @property
    def done(self) -> float:
        """The share that was done in these seconds."""
        return self.share - (self.before or 0.0)


class Course:
    """Estimates from what was done: of the same training, or else by the networks' multiply-adds."""

    def __init__(self, trials: Iterable[Trial], jobs: int) -> None:
        self.waiting = {trial.digest: trial for trial in trials}
        self.total, self.jobs = len(self.waiting), jobs
        self.done = 0
        self._costs = {
            each: FIXED + plan(trial.spec, SIDE).multiply_adds for each, trial in self.waiting.items()
        }
        self._alike = {each: replace(trial, seed=0).digest for each, trial in self.waiting.items()}
        self._seconds: dict[str, float] = {}  # of a whole training, whatever its seed
        self._spent, self._cost = 0.0, 0.0
        self._running: dict[str, Running] = {}

    def began(self, trial: Trial) -> None:
        """Note that a trial begins."""
        self._running[trial.digest] = Running(time.monotonic())

    def moved(self, trial: Trial, share: float) -> None:
        """Note how much of a trial is done."""
        running = self._running.setdefault(trial.digest, Running(time.monotonic()))
        running.share = share
        if running.before is None:
            running.before = share

    def ended(self, trial: Trial, well: bool = True) -> None:
        """Note that a trial is over; one that was not trained here tells nothing of time."""
        running = self._running.pop(trial.digest, Running(time.monotonic()))
        self.waiting.pop(trial.digest, None)
        self.done += 1
        if well and running.done:
            self._seconds[self._alike[trial.digest]] = running.seconds / running.done
            self._spent += running.seconds
            self._cost += running.done * self._costs[trial.digest]

    def put_off(self, trial: Trial) -> None:
        """Note that a trial begins later after all."""
        self._running.pop(trial.digest, None)

    @property
    def share(self) -> float:
        """Return the share of the trials that is done."""
        return (self.done + sum(each.share for each in self._running.values())) / max(1, self.total)

    @property
    def left(self) -> float | None:
        """Return the seconds left; None before anything is known."""
        spent, cost = self._spent, self._cost
        for digest, running in self._running.items():
            spent, cost = spent + running.seconds, cost + running.done * self._costs[digest]
        if not cost:
            return None
        rest = 0.0
        for digest in self.waiting:
            share = self._running[digest].share if digest in self._running else 0.0
            whole = self._seconds.get(self._alike[digest], self._costs[digest] * spent / cost)
            rest += whole * (1 - share)
        return rest / min(self.jobs, max(1, len(self.waiting)))
