"""What a network said of every labelled picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.errors import UserError
from residua.judging.figures.ranking import TOP, ranked


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What a network said of every labelled picture, each once, in the data's order."""

    classes: tuple[str, ...]  # as the model calls them, no two alike
    names: Sequence[str]
    labels: NDArray[np.int32]  # (n,) places in `classes`
    guesses: NDArray[np.int32]  # (n, k) classes, best first; k is 5, or less where there are fewer
    chances: NDArray[np.float32]  # (n, k) their probabilities, after the model's temperature
    own: NDArray[np.float32]  # (n,) probability of the true class
    losses: NDArray[np.float32]  # (n,) cross entropy

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.labels)

    def only(self, good: NDArray[np.bool_]) -> Outcomes:
        """Return what was said of the pictures that are good."""
        if good.all():
            return self
        names = [name for name, keep in zip(self.names, good.tolist(), strict=True) if keep]
        return Outcomes(
            classes=self.classes,
            names=names,
            labels=self.labels[good],
            guesses=self.guesses[good],
            chances=self.chances[good],
            own=self.own[good],
            losses=self.losses[good],
        )

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which first guesses are right."""
        right: NDArray[np.bool_] = self.guesses[:, 0] == self.labels
        return right

    @property
    def in_top(self) -> NDArray[np.bool_]:
        """Which pictures have their class among the guesses."""
        found: NDArray[np.bool_] = (self.guesses == self.labels[:, None]).any(1)
        return found


def empty_outcomes(classes: tuple[str, ...], names: Sequence[str], labels: NDArray[np.int32]) -> Outcomes:
    """Return outcomes to be filled in."""
    count, kept = len(labels), min(TOP, len(classes))
    guesses, chances = np.zeros((count, kept), np.int32), np.zeros((count, kept), np.float32)
    own, losses = np.zeros(count, np.float32), np.zeros(count, np.float32)
    return Outcomes(classes, names, labels, guesses, chances, own, losses)


def fill(outcomes: Outcomes, start: int, logits: Tensor, temperature: float) -> None:
    """Fill in what logits (on the CPU) say of the pictures from `start` on."""
    rows = slice(start, start + len(logits))
    if not bool(logits.isfinite().all()):
        place = start + int(logits.isfinite().all(1).int().argmin())
        raise UserError(
            f"the network's answer to {outcomes.names[place]!r} is no number: it cannot be judged."
        )
    labels = torch.from_numpy(outcomes.labels[rows].astype(np.int64))[:, None]
    logs = (logits.double() / temperature).log_softmax(1)
    best = ranked(logits)
    own = logs.gather(1, labels)[:, 0]
    outcomes.guesses[rows] = best.numpy()
    outcomes.chances[rows] = logs.gather(1, best).exp().numpy()
    outcomes.own[rows] = own.exp().numpy()
    outcomes.losses[rows] = -own.numpy()


def table(outcomes: Outcomes) -> Iterator[list[str]]:
    """Yield a row for every picture, the header first."""
    further = range(2, outcomes.guesses.shape[1] + 1)
    yield [
        *("path", "label", "predicted", "probability", "correct", "label_probability"),
        *(name for place in further for name in (f"top{place}", f"probability{place}")),
    ]
    classes = outcomes.classes
    for place, name in enumerate(outcomes.names):
        label, guesses = outcomes.labels[place], outcomes.guesses[place].tolist()
        chances = [f"{chance:.6g}" for chance in outcomes.chances[place].tolist()]
        right = "true" if guesses[0] == label else "false"
        first = [name, classes[label], classes[guesses[0]], chances[0], right, f"{outcomes.own[place]:.6g}"]
        pairs = zip(guesses[1:], chances[1:], strict=True)
        yield [*first, *(cell for guess, chance in pairs for cell in (classes[guess], chance))]
