"""What an evaluation says, as a page shows it: the classes and confusions that matter most, few of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from residua.judging.figures.calibration import Bin, Calibration
from residua.judging.figures.intervals import Interval
from residua.judging.figures.metrics import ClassScores, Confusion
from residua.judging.figures.mistakes import Mistake
from residua.nets.values import at_least, checked, hints, within

WORST, BEST = 20, 5  # classes with a row, where there are more
HEATED = 30  # classes at most whose confusions are shown as a table
BESIDE = 10  # confusions that are listed beside a table of all
CASES, DOUBTS = 12, 6  # mistakes, and likely label errors, that are shown
SHADES = 9  # steps of a cell's colour
FEW = 10  # held-out pictures: of fewer, a class's figures say little
Read = TypeVar("Read")


@dataclass(frozen=True)
class Cell:
    """How often one class was named for another or for itself, and how strong its colour is."""

    count: int
    shade: int


@dataclass(frozen=True)
class Judged:
    """An evaluation as its JSON has it: shares are in percent, probabilities and calibration from 0 to 1."""

    samples: int
    top1: float
    top5: float | None
    interval: Interval  # of top-1, 95%
    calibration: Calibration
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...] | None
    confusions: tuple[Confusion, ...]  # the largest
    mistakes: tuple[Mistake, ...]
    label_errors: tuple[Mistake, ...]
    label_error_count: int

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Judged:
        """Read what `residua evaluate --json` says; what it does not say, or says oddly, is an error."""
        classes = tuple(_read(ClassScores, row) for row in said["per_class"])
        top1, interval = _share("top1", said["top1"]), said["intervals"]["top1"]
        return cls(
            samples=_counted("samples", said["samples"], 1),
            top1=top1,
            top5=None if said["top5"] is None else _share("top5", said["top5"]),
            interval=(_share("interval", interval[0]), _share("interval", interval[1])),
            calibration=_calibration(said["calibration"]),
            classes=classes,
            confusion=_table(said["confusion"], len(classes)),
            confusions=tuple(_read(Confusion, row) for row in said["confusions"]),
            mistakes=tuple(_read(Mistake, row) for row in said["mistakes"][:CASES]),
            label_errors=tuple(_read(Mistake, row) for row in said["label_errors"][:DOUBTS]),
            label_error_count=_counted("label_error_count", said["label_error_count"]),
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
        return 100 * max((row.support for row in self.classes), default=0) / self.samples

    @property
    def support(self) -> dict[str, int]:
        """How many held-out pictures each class has."""
        return {row.name: row.support for row in self.classes}

    @property
    def ranked(self) -> list[ClassScores]:
        """The classes that occur, worst first."""
        there = [row for row in self.classes if row.support]
        return sorted(there, key=lambda row: (row.f1 or 0.0, row.recall or 0.0, row.name))

    @property
    def rows(self) -> list[ClassScores]:
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
    def listed(self) -> tuple[Confusion, ...]:
        """The largest confusions; fewer where a table has all."""
        return self.confusions[:BESIDE] if self.cells else self.confusions

    @property
    def cells(self) -> list[list[Cell]] | None:
        """The confusions as a table, each row shaded by its shares; None where there are many classes."""
        if self.confusion is None or len(self.classes) > HEATED:
            return None
        return [[Cell(count, _shade(count, sum(row))) for count in row] for row in self.confusion]


def _read(kind: type[Read], row: Mapping[str, Any], **made: Any) -> Read:
    """Make a dataclass of what JSON has by its names, each of its type; no number in them is negative."""
    known = hints(kind)
    names = [each.name for each in fields(kind) if each.name not in made]  # type: ignore[arg-type] # a dataclass
    values = {name: checked(name, row[name], known[name]) for name in names}
    for name, value in values.items():
        if isinstance(value, (int, float)):
            at_least(name, value, 0)
    return kind(**values, **made)


def _calibration(said: Mapping[str, Any]) -> Calibration:
    bins = tuple(_read(Bin, row) for row in said["bins"])
    found = _read(Calibration, said, bins=bins)
    if not found.temperature:
        raise ValueError(found.temperature)
    return found


def _table(rows: Any, size: int) -> tuple[tuple[int, ...], ...] | None:
    if rows is None:
        return None
    table = tuple(tuple(_counted("confusion", count) for count in row) for row in rows)
    if {len(table), *map(len, table)} != {size}:
        raise ValueError(size)
    return table


def _counted(name: str, value: Any, least: int = 0) -> int:
    count: int = checked(name, value, int)
    at_least(name, count, least)
    return count


def _share(name: str, value: Any) -> float:
    share: float = checked(name, value, float)
    within(name, share, 0, 100, closed=True)
    return share


def _shade(count: int, total: int) -> int:
    """Return how strong a cell's colour is; any count at all can be seen."""
    return 0 if not count else 1 + round((SHADES - 1) * count / total)
