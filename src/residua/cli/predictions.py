"""Predictions as they come: for people, as CSV, or as lines of JSON. In the last two any name survives."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Protocol

from rich.cells import cell_len

from residua.data.checking.findings import visible
from residua.data.sources.table import safe
from residua.errors import UserError
from residua.judging.model import Guess, Model
from residua.judging.predicting.files import Predicted
from residua.nets.values import at_least

TOP = 5  # guesses in JSON, if not said
UNREAD = "unreadable"
WIDEST = 32  # columns of a class's name


class Way(Protocol):
    """How results are written."""

    top: int  # guesses

    def header(self) -> str:
        """Return what comes before the first."""

    def line(self, found: Predicted) -> str:
        """Return what is said of one file."""


def way(model: Model, csv: bool, json: bool, top: int | None) -> Way:
    """Return the way that was asked for."""
    if csv and json:
        raise UserError("--csv and --json are two ways to print: choose one.")
    at_least("top", top, 1)
    most = model.network.spec.num_classes
    if json:
        return Json(min(top or TOP, most))
    return Csv(min(top or 1, most)) if csv else People(min(top or 1, most), model)


class People:
    """Lines of probability, class, file and further guesses."""

    def __init__(self, top: int, model: Model) -> None:
        names = (visible(entry.name) for entry in model.classes or ())
        self.width = max(len(UNREAD), min(WIDEST, max(map(cell_len, names), default=0)))
        self.top = top

    def header(self) -> str:
        """Name the columns."""
        return self._line("", "class", "file")

    def line(self, found: Predicted) -> str:
        """Say it of one file."""
        path = visible(found.path)
        if found.label is None or found.probability is None:
            return self._line("", UNREAD, f"{path}: {visible(str(found.error))}")
        more = ", ".join(f"{visible(each.label)} {each.probability:.1%}" for each in found.top[1:])
        return self._line(
            f"{found.probability:.1%}", visible(found.label), f"{path}  ({more})" if more else path
        )

    def _line(self, chance: str, label: str, rest: str) -> str:
        return f"{chance:>6}  {label}{' ' * (self.width - cell_len(label))}  {rest}\n"


class Csv:
    """Rows of path, label, id, probability, further guesses, and error."""

    def __init__(self, top: int) -> None:
        self.top = top

    def header(self) -> str:
        """Name the columns."""
        more = (
            f"{name}_{place}" for place in range(2, self.top + 1) for name in ("label", "id", "probability")
        )
        return _row(["path", "label", "id", "probability", *more, "error"])

    def line(self, found: Predicted) -> str:
        """Give the row of one file."""
        cells = [cell for guess in found.top for cell in _cells(guess)]
        missing = [""] * (3 * self.top - len(cells))
        return _row([found.path, *cells, *missing, found.error or ""])


class Json:
    """One object a line."""

    def __init__(self, top: int) -> None:
        self.top = top

    def header(self) -> str:
        """There is none."""
        return ""

    def line(self, found: Predicted) -> str:
        """Give the object of one file."""
        return json.dumps(found.as_json()) + "\n"


def write(found: Iterable[Predicted], way: Way) -> Iterator[Predicted]:
    """Write each result to standard output at once, and pass it on."""
    before = way.header()
    for each in found:
        _out(before + way.line(each))
        before = ""
        yield each


def _out(text: str) -> None:
    sys.stdout.buffer.write(_encoded(text))
    sys.stdout.buffer.flush()


def _encoded(text: str) -> bytes:
    """Encode names of files as the bytes that they are."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character, in the name of a class
        return text.encode("utf-8", "surrogatepass")


def _cells(guess: Guess) -> tuple[str, str, str]:
    return guess.label, guess.id, f"{guess.probability:.6g}"


def _row(cells: list[str]) -> str:
    row = io.StringIO()
    csv.writer(row).writerow(safe(cells))
    return row.getvalue()
