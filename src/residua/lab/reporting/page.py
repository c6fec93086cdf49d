"""The page of an experiment at a scale, and the page that leads to all of them; no other file is needed."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from residua import __version__
from residua.errors import UserError
from residua.files import replacing
from residua.lab.reporting import amounts, making, words
from residua.lab.reporting.drawing import Drawing
from residua.lab.reporting.drawings import drawings
from residua.lab.reporting.judged import judged
from residua.lab.reporting.records import Record, find_records
from residua.lab.reporting.svg import inline
from residua.text import visible

PAGE, INDEX = "report.html", "index.html"
HEAD = 2000  # characters of a page within which it says of which results it is


def write_page(record: Record) -> Path:
    """Write the page of an experiment beside its results, and the table of each figure."""
    found = drawings(record)
    for drawing in found:
        write(record.folder / drawing.file, drawing.table())
    figures, missing = paint(found)
    page = _templates().get_template("experiment.html")
    text = page.render(
        record=record,
        words=words,
        amounts=amounts,
        making=making,
        claims=judged(record),
        figures=figures,
        missing=missing,
        version=__version__,
    )
    write(record.folder / PAGE, text)
    return record.folder / PAGE


def write_index(lab: Path) -> Path:
    """Write the page that leads to every experiment of which there are results."""
    unreadable: list[str] = []
    records = find_records(lab, say=unreadable.append)
    pages = {
        record.digest: os.path.relpath(record.folder / PAGE, lab).replace(os.sep, "/")
        for record in records
        if (record.folder / PAGE).exists()
    }
    text = (
        _templates()
        .get_template("index.html")
        .render(records=records, pages=pages, unreadable=unreadable, words=words, version=__version__)
    )
    write(lab / INDEX, text)
    return lab / INDEX


def is_current(record: Record) -> bool:
    """Whether a page is there, and is of these results."""
    try:
        with (record.folder / PAGE).open(encoding="utf-8") as file:
            head = file.read(HEAD)
    except (OSError, ValueError):
        return False
    return f'content="{record.digest}"' in head


def paint(found: list[Drawing]) -> tuple[list[tuple[Drawing, Markup]], list[str]]:
    """Paint figures for a page; what cannot be painted is said, each reason once."""
    figures, missing = [], []
    for place, drawing in enumerate(found):
        try:
            text = inline(drawing.paint(), f"f{place}", drawing.alt)
        except UserError as error:
            missing.append(str(error))
        else:
            figures.append((drawing, Markup(text)))  # noqa: S704 - matplotlib escapes what it is given
    return figures, list(dict.fromkeys(missing))


def write(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


@cache
def _templates() -> Environment:
    rooms = ("residua.lab.reporting", "residua.judging.reporting")  # the other's style is this one's
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(room) for room in rooms]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"visible": _visible, "count": _count}
    return environment


def _visible(text: Any) -> str:
    return visible(str(text))


def _count(value: float) -> str:
    return f"{value:,.0f}"
