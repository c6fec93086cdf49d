"""What a model is worth on some pictures, in every figure, and where it goes wrong."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.data.dataset import Skipped
from residua.data.sources.table import write_table
from residua.files import Name
from residua.judging import SHOWN
from residua.judging.figures.calibration import Calibration
from residua.judging.figures.intervals import Interval, mean_interval, share_interval
from residua.judging.figures.metrics import (
    ClassScores,
    Confusion,
    Counts,
    confusion_table,
    largest_confusions,
)
from residua.judging.figures.mistakes import Mistake, described, likely_label_errors, worst_mistakes
from residua.judging.figures.outcomes import Outcomes, table
from residua.judging.figures.ranking import TOP

PLAIN = (
    *("model", "data", "part", "chosen_by", "views", "views_are", "samples", "top1", "top5", "loss"),
    *("macro_f1", "weighted_f1", "balanced_accuracy", "digest"),
)
METHODS = "95%: Wilson's for shares, normal for the loss"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a model is worth on some pictures. Shares are in percent, probabilities from 0 to 1."""

    model: str
    data: str
    part: str  # train, val, test or all
    chosen_by: str  # who says which pictures these are
    views: str  # one, flip, ten-crop or multi-scale
    views_are: str  # in words
    outcomes: Outcomes  # what it said of every picture
    calibration: Calibration
    bad: tuple[Skipped, ...] = ()  # pictures that cannot be read: they are not counted
    unlisted: int = 0  # pictures that the split does not list: they are not counted
    learned: int | None = None  # how many of the pictures are for training; None where nobody says
    most: int = SHOWN  # how many mistakes, and how many doubtful labels, are listed
    digest: str | None = None  # of the model's file

    @property
    def samples(self) -> int:
        """How many pictures were judged."""
        return len(self.outcomes)

    @property
    def top1(self) -> float:
        """Percentage of right first guesses."""
        return 100 * float(self.outcomes.right.mean())

    @property
    def top5(self) -> float | None:
        """Percentage with the class among the five best; None with five classes or fewer."""
        return 100 * float(self.outcomes.in_top.mean()) if self._many else None

    @property
    def loss(self) -> float:
        """Mean cross entropy, at the model's temperature."""
        return float(self.outcomes.losses.mean(dtype=np.float64))

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that are there or are named."""
        return self._counts.macro_f1

    @property
    def weighted_f1(self) -> float:
        """Mean F1, each class by its pictures."""
        return self._counts.weighted_f1

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the classes that are there."""
        return self._counts.balanced_accuracy

    @cached_property
    def intervals(self) -> dict[str, Interval | None]:
        """The 95% intervals of top1 and top5 (Wilson's) and of the loss (normal)."""
        found = self.outcomes
        return {
            "top1": _percent(share_interval(int(found.right.sum()), len(found))),
            "top5": _percent(share_interval(int(found.in_top.sum()), len(found))) if self._many else None,
            "loss": mean_interval(found.losses),
        }

    @cached_property
    def per_class(self) -> tuple[ClassScores, ...]:
        """Every class's pictures, precision, recall and F1, in the model's order."""
        return self._counts.per_class(self.outcomes.classes)

    @cached_property
    def confusion(self) -> NDArray[np.int64] | None:
        """Pictures by class (rows) and guess (columns); None with more than 1,000 classes."""
        return confusion_table(self.outcomes.labels, self._guesses, len(self.outcomes.classes))

    def confusions(self, most: int = SHOWN) -> tuple[Confusion, ...]:
        """Return the classes that are taken for one another most often."""
        return largest_confusions(self.outcomes.labels, self._guesses, self.outcomes.classes, most)

    @cached_property
    def mistakes(self) -> tuple[Mistake, ...]:
        """The worst mistakes, by loss."""
        return worst_mistakes(self.outcomes, self.most)

    @property
    def mistake_count(self) -> int:
        """How many first guesses are wrong in all."""
        return int((~self.outcomes.right).sum())

    @cached_property
    def label_errors(self) -> tuple[Mistake, ...]:
        """Labels that are likely wrong, likeliest first."""
        return described(self.outcomes, self._doubted[: self.most])

    @property
    def label_error_count(self) -> int:
        """How many labels are likely wrong in all."""
        return len(self._doubted)

    @property
    def why_no_temperature(self) -> str | None:
        """Say, as half a sentence, why no temperature fits best, where none does."""
        found = self.calibration
        if found.best_temperature is not None:
            return None
        some = "" if found.fitted == self.samples else f"of the pictures looked at ({found.fitted:,}) "
        if found.colder_is_better:
            return f"{some}no wrong class is held likelier than the true one, and the lower it is, the better"
        return f"{some}the scores say nothing of the classes, and no lower one is better"

    @cached_property
    def _doubted(self) -> NDArray[np.int64]:
        return likely_label_errors(self.outcomes)

    @property
    def _many(self) -> bool:
        return len(self.outcomes.classes) > TOP

    @property
    def _guesses(self) -> NDArray[np.int32]:
        return self.outcomes.guesses[:, 0]

    @cached_property
    def _counts(self) -> Counts:
        return Counts.of(self.outcomes.labels, self._guesses, len(self.outcomes.classes))

    def as_json(self) -> dict[str, Any]:
        """Return everything but single pictures that went well, as docs/evaluate.md describes it."""
        return {
            **{name: getattr(self, name) for name in PLAIN},
            "intervals": {**self.intervals, "method": METHODS},
            "classes": list(self.outcomes.classes),
            "per_class": [asdict(each) for each in self.per_class],
            "confusion": None if self.confusion is None else self.confusion.tolist(),
            "confusions": [asdict(each) for each in self.confusions()],
            "ece": self.calibration.ece,
            "temperature": self.calibration.temperature,
            "best_temperature": self.calibration.best_temperature,
            "calibration": asdict(self.calibration) | {"leaning": self.calibration.leaning},
            "mistakes": [asdict(each) for each in self.mistakes],
            "mistake_count": self.mistake_count,
            "label_errors": [asdict(each) for each in self.label_errors],
            "label_error_count": self.label_error_count,
            "bad": [{"path": each.path, "reason": each.reason} for each in self.bad],
            "unlisted": self.unlisted,
            "learned": self.learned,
        }

    def write_csv(self, path: Name) -> None:
        """Write a table of every picture: path, label, what was predicted, and the next guesses."""
        write_table(Path(path), table(self.outcomes))


def _percent(share: Interval) -> Interval:
    return 100 * share[0], 100 * share[1]
