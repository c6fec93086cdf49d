"""How far a sweep is, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Iterable

from residua.lab.trials import Trial
from residua.nets.plan import plan
from residua.nets.spec import AnySpec

SIDE = 32  # of the pictures by which networks are compared
FIXED = 20_000_000  # multiply-adds for a picture that everything but the network's own is worth


class Course:
    """Estimates from what was finished: of the same network, or else by the networks' multiply-adds."""

    def __init__(self, trials: Iterable[Trial], jobs: int) -> None:
        self.waiting = {trial.digest: trial for trial in trials}
        self.total, self.jobs = len(self.waiting), jobs
        self.done = 0
        self._costs = {
            each: FIXED + plan(trial.spec, SIDE).multiply_adds for each, trial in self.waiting.items()
        }
        self._seconds: dict[AnySpec, float] = {}
        self._spent, self._cost = 0.0, 0.0
        self._running: dict[str, tuple[float, float]] = {}  # when it began, and the share that is done

    def began(self, trial: Trial) -> None:
        """Note that a trial begins."""
        self._running[trial.digest] = time.monotonic(), 0.0

    def moved(self, trial: Trial, share: float) -> None:
        """Note how much of a trial is done."""
        began, _ = self._running.get(trial.digest, (time.monotonic(), 0.0))
        self._running[trial.digest] = began, share

    def ended(self, trial: Trial, well: bool = True) -> None:
        """Note that a trial is over."""
        began, _ = self._running.pop(trial.digest, (time.monotonic(), 0.0))
        self.waiting.pop(trial.digest, None)
        self.done += 1
        if well:
            seconds = time.monotonic() - began
            self._seconds[trial.spec] = seconds
            self._spent, self._cost = self._spent + seconds, self._cost + self._costs[trial.digest]

    def put_off(self, trial: Trial) -> None:
        """Note that a trial begins later after all."""
        self._running.pop(trial.digest, None)

    @property
    def share(self) -> float:
        """Return the share of the trials that is done."""
        return (self.done + sum(share for _, share in self._running.values())) / max(1, self.total)

    @property
    def left(self) -> float | None:
        """Return the seconds left; None before anything is known."""
        spent, cost = self._spent, self._cost
        for digest, (began, share) in self._running.items():
            spent, cost = spent + time.monotonic() - began, cost + share * self._costs[digest]
        if not cost:
            return None
        rest = 0.0
        for digest, trial in self.waiting.items():
            _, share = self._running.get(digest, (0.0, 0.0))
            whole = self._seconds.get(trial.spec, self._costs[digest] * spent / cost)
            rest += whole * (1 - share)
        return rest / min(self.jobs, max(1, len(self.waiting)))
