"""Predictions as they come: for people, as CSV, or as lines of JSON. In the last two any name survives."""

from __future__ import annotations

import csv as csv_format
import io
import json as json_format
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from rich.cells import cell_len

from residua.data.sources.table import safe
from residua.errors import UserError
from residua.judging.figures.ranking import TOP
from residua.judging.model import Model
from residua.judging.predicting.prediction import FileResult, Guess
from residua.nets.values import at_least
from residua.text import visible

NONE = "no answer"
WIDEST = 32  # columns of a class's name


class Way(NamedTuple):
    """How results are written: so many guesses, what comes before the first, and what is said of one file."""

    top: int
    header: str
    line: Callable[[FileResult], str]


def way(model: Model, csv: bool, json: bool, top: int | None) -> Way:
    """Return the way that was asked for."""
    if csv and json:
        raise UserError("--csv and --json are two ways to print: choose one.")
    at_least("top", top, 1)
    count = min(top or (TOP if json else 1), len(model.entries))
    if json:
        return Way(count, "", lambda found: json_format.dumps(found.as_json(), allow_nan=False) + "\n")
    if csv:
        return Way(count, _csv_header(count), partial(_csv_line, count))
    names = [visible(entry.name) for entry in model.entries]
    width = max(len(NONE), min(WIDEST, max(map(cell_len, names))))
    return Way(count, _columns(width, "", "class", "file"), partial(_line, width))


def write(found: Iterable[FileResult], way: Way) -> Iterator[FileResult]:
    """Write each result to standard output at once, and pass it on."""
    before = way.header
    for each in found:
        sys.stdout.buffer.write(encoded(before + way.line(each)))
        sys.stdout.buffer.flush()
        before = ""
        yield each


def encoded(text: str) -> bytes:
    """Encode names of files as the bytes that they are."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character, in the name of a class
        return text.encode("utf-8", "surrogatepass")


def _line(width: int, found: FileResult) -> str:
    """Write probability, class, file and further guesses for people."""
    path = visible(found.path)
    if not found.prediction:
        return _columns(width, "", NONE, f"{path}: {visible(found.error)}")
    first, *others = found.prediction.top
    more = ", ".join(f"{visible(each.label)} {each.probability:.1%}" for each in others)
    file = f"{path}  ({more})" if more else path
    return _columns(width, f"{first.probability:.1%}", visible(first.label), file)


def _columns(width: int, chance: str, label: str, rest: str) -> str:
    return f"{chance:>6}  {label}{' ' * (width - cell_len(label))}  {rest}\n"


def _csv_header(top: int) -> str:
    further = range(2, top + 1)
    more = (f"{name}_{place}" for place in further for name in ("label", "id", "probability"))
    return _row(["path", "label", "id", "probability", *more, "error"])


def _csv_line(top: int, found: FileResult) -> str:
    guesses = found.prediction.top if found.prediction else ()
    cells = [cell for guess in guesses for cell in _cells(guess)]
    missing = [""] * (3 * top - len(cells))
    return _row([found.path, *cells, *missing, found.error])


def _cells(guess: Guess) -> tuple[str, str, str]:
    return guess.label, guess.id, f"{guess.probability:.6g}"


def _row(cells: list[str]) -> str:
    row = io.StringIO()
    csv_format.writer(row).writerow(safe(cells))
    return row.getvalue()
