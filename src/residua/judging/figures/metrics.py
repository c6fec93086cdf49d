"""Figures that follow from what was true and what was guessed; shares are in percent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

DENSE = 1000  # classes; the table of more would be mostly zeros, and large
Labels = NDArray[np.int32]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class ClassScores:
    """One class's scores in percent; None where there is nothing to divide by."""

    name: str
    support: int  # pictures of it
    precision: float | None  # of those named so, how many are; None if none was
    recall: float | None  # of its pictures, how many are named so; None if there is none
    f1: float | None  # None if there is no picture of it and none was named so


@dataclass(frozen=True)
class Confusion:
    """How many pictures of one class were taken for another."""

    label: str
    predicted: str
    count: int


@dataclass(frozen=True)
class Counts:
    """Pictures by class: how many there are, how many are named so, and how many of those rightly."""

    true: NDArray[np.int64]
    named: NDArray[np.int64]
    hits: NDArray[np.int64]

    @classmethod
    def of(cls, labels: Labels, guesses: Labels, classes: int) -> Self:
        """Count them."""
        every = labels, guesses, labels[labels == guesses]
        return cls(*(np.bincount(found, minlength=classes) for found in every))

    @property
    def precision(self) -> Numbers:
        """Each class's precision; not a number where nothing was named so."""
        return _shares(self.hits, self.named)

    @property
    def recall(self) -> Numbers:
        """Each class's recall; not a number where there is no picture of it."""
        return _shares(self.hits, self.true)

    @property
    def f1(self) -> Numbers:
        """Each class's F1; not a number where it neither is nor is named."""
        return _shares(2 * self.hits, self.true + self.named)

    @property
    def macro_f1(self) -> float:
        """The mean of F1 over the classes that are or are named."""
        return float(np.nanmean(self.f1))

    @property
    def weighted_f1(self) -> float:
        """The mean of F1 over the pictures' classes."""
        return float(np.nansum(self.f1 * self.true) / self.true.sum())

    @property
    def balanced_accuracy(self) -> float:
        """The mean of the recall over the classes that there are."""
        return float(np.nanmean(self.recall))

    def per_class(self, names: tuple[str, ...]) -> tuple[ClassScores, ...]:
        """Return every class's scores."""
        columns = (map(_known, each.tolist()) for each in (self.precision, self.recall, self.f1))
        return tuple(map(ClassScores, names, self.true.tolist(), *columns))


def confusion_table(labels: Labels, guesses: Labels, classes: int) -> NDArray[np.int64] | None:
    """Count pictures by what they are (rows) and were taken for (columns); None for very many classes."""
    if classes > DENSE:
        return None
    cells = labels.astype(np.int64) * classes + guesses
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def largest_confusions(
    labels: Labels, guesses: Labels, names: tuple[str, ...], most: int
) -> tuple[Confusion, ...]:
    """Return the pairs of classes that were confused most often, most often first."""
    wrong = labels != guesses
    cells, counts = np.unique(
        labels[wrong].astype(np.int64) * len(names) + guesses[wrong], return_counts=True
    )
    order = np.argsort(-counts, kind="stable")[:most]
    pairs = zip(cells[order].tolist(), counts[order].tolist(), strict=True)
    return tuple(Confusion(names[cell // len(names)], names[cell % len(names)], n) for cell, n in pairs)


def _shares(part: NDArray[np.int64], whole: NDArray[np.int64]) -> Numbers:
    shares: Numbers = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0) * 100
    return shares


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
