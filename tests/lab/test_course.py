"""The time that a sweep has left, reckoned from what was really done in the time so far."""

import pytest

from lab.sweeping import TINY, experiment
from residua.lab import course
from residua.lab.course import Course
from residua.lab.trials import Trial, trials


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(course, "time", found)
    return found


@pytest.fixture
def made() -> list[Trial]:
    """Three seeds of one training, and one whose network is the same and whose batch is not."""
    networks = {"a": TINY, "b": {**TINY, "recipe": {"batch": 16}}}
    planned = trials(experiment(networks=networks, claims=[]), "quick", "made up", 3)
    found = {(member.label, trial.seed): trial for member, trial in planned}
    return [found["a", 0], found["a", 1], found["a", 2], found["b", 0]]


def carried(found: Course, trial: Trial, clock: Clock, seconds: float, shares: list[float]) -> None:
    found.began(trial)
    for share in shares:
        clock.now += seconds / len(shares)
        found.moved(trial, share)
    found.ended(trial)


def test_what_was_done_before_is_not_taken_for_time(made: list[Trial], clock: Clock) -> None:
    """A training that was resumed with a tenth left says how long the whole of the next one takes."""
    found = Course(made[:2], jobs=1)
    assert found.left is None
    found.began(made[0])
    found.moved(made[0], 0.9)
    clock.now += 10
    found.moved(made[0], 0.95)
    assert found.left == pytest.approx(0.05 * 200 + 200)
    clock.now += 10
    found.moved(made[0], 1.0)
    found.ended(made[0])
    assert found.left == pytest.approx(200)


def test_what_another_sweep_did_tells_nothing(made: list[Trial], clock: Clock) -> None:
    found = Course(made[:3], jobs=1)
    carried(found, made[0], clock, 100, [0.0, 1.0])
    assert found.left == pytest.approx(200)
    carried(found, made[1], clock, 1, [])
    assert found.left == pytest.approx(100)


def test_a_training_is_reckoned_by_one_of_the_same_settings(made: list[Trial], clock: Clock) -> None:
    found = Course([made[0], made[3], made[1]], jobs=1)
    carried(found, made[3], clock, 900, [0.0, 1.0])
    carried(found, made[0], clock, 100, [0.0, 1.0])
    assert found.left == pytest.approx(100)
