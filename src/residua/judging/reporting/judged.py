"""What an evaluation says, as a page shows it: the classes and confusions that matter most, few of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WORST, BEST = 20, 5  # classes with a row, where there are more
HEATED = 30  # classes at most whose confusions are shown as a table
PAIRS, BESIDE = 20, 10  # confusions that are listed, and beside a table of all
CASES, DOUBTS = 12, 6  # mistakes, and likely label errors, that are shown
SHADES = 9  # steps of a cell's colour
HUGE = 1e12  # no figure is as large
FEW = 10  # held-out pictures: of fewer, a class's figures say little


@dataclass(frozen=True)
class ClassRow:
    """One class: pictures to learn from and held out, and how well it is told apart, in percent."""

    name: str
    learned: int | None
    support: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Cell:
    """How often one class was named for another or for itself, and how strong its colour is."""

    count: int
    shade: int


@dataclass(frozen=True)
class Pair:
    """One class named for another, how often, and of how many."""

    label: str
    predicted: str
    count: int
    support: int


@dataclass(frozen=True)
class Bin:
    """Pictures of about one probability."""

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Case:
    """One picture, what it is labelled and what the network says."""

    path: str
    label: str
    predicted: str
    probability: float
    own: float | None  # probability of the label


@dataclass(frozen=True)
class Judged:
    """An evaluation as its JSON has it: shares are in percent, probabilities and calibration from 0 to 1."""

    samples: int
    top1: float
    top5: float | None
    interval: tuple[float, float] | None
    ece: float | None
    temperature: float | None  # that the model has
    best_temperature: float | None  # that suits these pictures, and the error that it leaves
    best_ece: float | None
    bins: tuple[Bin, ...]
    classes: tuple[ClassRow, ...]
    confusion: tuple[tuple[int, ...], ...] | None
    pairs: tuple[Pair, ...]
    mistakes: tuple[Case, ...]
    label_errors: tuple[Case, ...]
    label_error_count: int

    @classmethod
    def from_json(cls, said: Mapping[str, Any], learned: Mapping[str, int]) -> Judged:
        """Read what `residua evaluate --json` says; `learned` counts the training pictures of each class."""
        calibration = said["calibration"]
        classes = tuple(_class(row, learned) for row in said["per_class"])
        return cls(
            samples=_count(said["samples"]),
            top1=_real(said["top1"]),
            top5=_number(said["top5"]),
            interval=_interval(said["intervals"].get("top1")),
            ece=_number(calibration["ece"]),
            temperature=_number(calibration["temperature"]),
            best_temperature=_number(calibration["best_temperature"]),
            best_ece=_number(calibration["best_ece"]),
            bins=tuple(_bin(row) for row in calibration["bins"] if row["count"]),
            classes=classes,
            confusion=_table(said["confusion"], len(classes)),
            pairs=_pairs(said, classes),
            mistakes=tuple(_case(row) for row in said["mistakes"][:CASES]),
            label_errors=tuple(_case(row) for row in said["label_errors"][:DOUBTS]),
            label_error_count=_count(said["label_error_count"]),
        )

    @property
    def right(self) -> int:
        """How many pictures are named correctly."""
        return round(self.samples * self.top1 / 100)

    @property
    def wrong(self) -> int:
        """How many pictures are named wrongly."""
        return self.samples - self.right

    @property
    def baseline(self) -> float:
        """What always naming the most frequent class would be worth, in percent."""
        return 100 * max((row.support for row in self.classes), default=0) / max(1, self.samples)

    @property
    def ranked(self) -> list[ClassRow]:
        """The classes that occur, worst first."""
        there = [row for row in self.classes if row.support]
        return sorted(there, key=lambda row: (row.f1 or 0.0, row.recall or 0.0, row.name))

    @property
    def rows(self) -> list[ClassRow]:
        """The classes to show: all, or the worst and the best of many."""
        every = self.ranked
        return every if len(every) <= WORST + BEST else [*every[:WORST], *every[-BEST:]]

    @property
    def left_out(self) -> int:
        """How many classes lie between those that are shown."""
        return len(self.ranked) - len(self.rows)

    @property
    def absent(self) -> int:
        """How many classes have no held-out picture."""
        return sum(not row.support for row in self.classes)

    @property
    def few(self) -> int:
        """How many classes have so few held-out pictures that their figures say little."""
        return sum(0 < row.support < FEW for row in self.classes)

    @property
    def listed(self) -> tuple[Pair, ...]:
        """The largest confusions; fewer where a table has all."""
        return self.pairs[:BESIDE] if self.cells else self.pairs

    @property
    def cells(self) -> list[list[Cell]] | None:
        """The confusions as a table, each row shaded by its shares; None where there are many classes."""
        if self.confusion is None or len(self.classes) > HEATED:
            return None
        return [[Cell(count, _shade(count, sum(row))) for count in row] for row in self.confusion]


def _class(row: Mapping[str, Any], learned: Mapping[str, int]) -> ClassRow:
    name = str(row["name"])
    figures = (_number(row[figure]) for figure in ("precision", "recall", "f1"))
    return ClassRow(name, learned.get(name), _count(row["support"]), *figures)


def _pairs(said: Mapping[str, Any], classes: Sequence[ClassRow]) -> tuple[Pair, ...]:
    """Return the largest confusions."""
    support = {row.name: row.support for row in classes}
    found = [
        Pair(str(row["label"]), str(row["predicted"]), _count(row["count"]), support.get(row["label"], 0))
        for row in said.get("confusions") or _counted(said["confusion"] or [], classes)
    ]
    return tuple(sorted(found, key=lambda pair: (-pair.count, pair.label, pair.predicted))[:PAIRS])


def _counted(confusion: Sequence[Sequence[int]], classes: Sequence[ClassRow]) -> list[dict[str, Any]]:
    return [
        {"label": classes[label].name, "predicted": classes[guess].name, "count": count}
        for label, row in enumerate(confusion)
        for guess, count in enumerate(row)
        if count and label != guess
    ]


def _table(rows: Any, size: int) -> tuple[tuple[int, ...], ...] | None:
    if rows is None:
        return None
    table = tuple(tuple(map(_count, row)) for row in rows)
    if {len(table), *map(len, table)} != {size}:
        raise ValueError(size)
    return table


def _bin(row: Mapping[str, Any]) -> Bin:
    return Bin(_count(row["count"]), _real(row["confidence"]), _real(row["accuracy"]))


def _case(row: Mapping[str, Any]) -> Case:
    return Case(
        path=str(row["path"]),
        label=str(row["label"]),
        predicted=str(row["predicted"]),
        probability=_real(row["probability"]),
        own=_number(row.get("own")),
    )


def _shade(count: int, total: int) -> int:
    """Return how strong a cell's colour is; any count at all can be seen."""
    return 0 if not count else 1 + round((SHADES - 1) * count / total)


def _interval(value: Any) -> tuple[float, float] | None:
    return None if value is None else (_real(value[0]), _real(value[1]))


def _number(value: Any) -> float | None:
    return None if value is None else _real(value)


def _real(value: Any) -> float:
    number = float(value)
    if not abs(number) < HUGE:
        raise ValueError(value)
    return number


def _count(value: Any) -> int:
    number = int(value)
    if not 0 <= number < HUGE:
        raise ValueError(value)
    return number
