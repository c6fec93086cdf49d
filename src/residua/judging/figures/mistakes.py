"""Pictures worth looking at: the worst mistakes, and labels that are likely wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from residua.judging.figures.outcomes import Outcomes


@dataclass(frozen=True)
class Mistake:
    """A picture that was taken for something else."""

    path: str
    label: str
    predicted: str
    probability: float  # of what was predicted
    own: float  # of the label
    loss: float


def worst_mistakes(outcomes: Outcomes, most: int) -> tuple[Mistake, ...]:
    """Return the wrong guesses of the largest loss, largest first."""
    wrong = np.flatnonzero(~outcomes.right)
    order = np.argsort(-outcomes.losses[wrong], kind="stable")[:most]
    return described(outcomes, wrong[order])


def likely_label_errors(outcomes: Outcomes) -> NDArray[np.int64]:
    """Return the places of pictures whose label is likely wrong, likeliest first.

    The rule is that of confident learning (Northcutt, Jiang and Chuang 2021): the network takes the picture
    for another class, at least as surely as it takes that class's pictures for what they are on average, and
    is less sure of the label than it is of the label's pictures on average.
    """
    usual = self_confidence(outcomes)
    guesses, chances = outcomes.guesses[:, 0], outcomes.chances[:, 0]
    surely = chances >= usual[guesses]  # never of a class without pictures, whose usual is not a number
    doubtful = outcomes.own < usual[outcomes.labels]
    places = np.flatnonzero(~outcomes.right & surely & doubtful)
    margins = chances[places].astype(np.float64) - outcomes.own[places]
    return places[np.argsort(-margins, kind="stable")]


def self_confidence(outcomes: Outcomes) -> NDArray[np.float64]:
    """Return the mean probability of each class over its own pictures; not a number where there is none."""
    classes = len(outcomes.classes)
    counts = np.bincount(outcomes.labels, minlength=classes)
    sums = np.bincount(outcomes.labels, outcomes.own.astype(np.float64), classes)
    usual: NDArray[np.float64] = np.divide(sums, counts, out=np.full(classes, np.nan), where=counts > 0)
    return usual


def described(outcomes: Outcomes, places: NDArray[np.int64]) -> tuple[Mistake, ...]:
    """Describe pictures by their places."""
    classes = outcomes.classes
    return tuple(
        Mistake(
            path=outcomes.names[place],
            label=classes[outcomes.labels[place]],
            predicted=classes[outcomes.guesses[place, 0]],
            probability=float(outcomes.chances[place, 0]),
            own=float(outcomes.own[place]),
            loss=float(outcomes.losses[place]),
        )
        for place in places.tolist()
    )
