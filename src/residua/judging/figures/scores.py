"""Scores of a network on labelled pictures, every one counted once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from residua.data.loading.loader import Batch
from residua.judging.figures.metrics import Counts
from residua.judging.figures.ranking import TOP, ranked


@dataclass(frozen=True)
class Scores:
    """What a network is worth; shares are in percent."""

    samples: int
    loss: float  # mean cross entropy
    top1: float
    top5: float | None  # None with five classes or fewer, where it says nothing
    macro_f1: float  # the mean over classes that are or are named


def judge(forward: Callable[[Tensor], Tensor], batches: Iterable[Batch], classes: int) -> Scores:
    """Score what `forward` makes of each batch's pixels; it gives logits for as many classes."""
    tally = Tally(classes)
    for batch in batches:  # which threads may be filling: tensors made in inference mode forbid that
        with torch.inference_mode():
            tally.add(forward(batch.inputs()).float(), batch.labels)
    return tally.scores()


class Tally:
    """Counts from which scores follow, added up batch by batch."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.samples, self.loss, self.first, self.in_top = 0, 0.0, 0, 0
        self.hits, self.guesses, self.truths = (torch.zeros(classes, dtype=torch.int64) for _ in range(3))

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch."""
        best = ranked(logits)
        guesses = best[:, 0]
        right = guesses == labels
        self.samples += len(labels)
        self.loss += F.cross_entropy(logits.double(), labels, reduction="sum").item()
        self.first += int(right.sum())
        self.in_top += int((best == labels[:, None]).any(1).sum())
        for counts, found in (
            (self.hits, labels[right]),
            (self.guesses, guesses),
            (self.truths, labels),
        ):
            counts += torch.bincount(found.cpu(), minlength=self.classes)

    def scores(self) -> Scores:
        """Return the scores of all that was counted."""
        count = max(1, self.samples)
        by_class = Counts(self.truths.numpy(), self.guesses.numpy(), self.hits.numpy())
        return Scores(
            samples=self.samples,
            loss=self.loss / count,
            top1=100 * self.first / count,
            top5=100 * self.in_top / count if self.classes > TOP else None,
            macro_f1=by_class.macro_f1 if self.samples else 0.0,
        )
