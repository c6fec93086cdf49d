"""The page of an experiment at a scale, and the page that leads to all of them; no other file is needed."""

from __future__ import annotations

import os
from pathlib import Path

from residua import __version__
from residua.data.pages import templates
from residua.errors import UserError
from residua.files import write_text
from residua.lab.reporting import amounts, making, words
from residua.lab.reporting.drawing import Drawing
from residua.lab.reporting.drawings import drawings
from residua.lab.reporting.judged import judged
from residua.lab.reporting.records import Record, find_records
from residua.lab.reporting.svg import inline

PAGE, INDEX = "report.html", "index.html"
ROOMS = ("residua.lab.reporting", "residua.judging.reporting")  # the other's style is this one's
HEAD = 2000  # characters of a page within which it says of which results it is


def write_page(record: Record) -> Path:
    """Write the page of an experiment beside its results, and the table of each figure."""
    found = drawings(record)
    for drawing in found:
        write_text(record.folder / drawing.file, drawing.table())
    figures, missing = paint(found)
    page = templates(*ROOMS).get_template("experiment.html")
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
    write_text(record.folder / PAGE, text)
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
        templates(*ROOMS)
        .get_template("index.html")
        .render(records=records, pages=pages, unreadable=unreadable, words=words, version=__version__)
    )
    write_text(lab / INDEX, text)
    return lab / INDEX


def is_current(record: Record) -> bool:
    """Whether a page is there, and is of these results."""
    try:
        with (record.folder / PAGE).open(encoding="utf-8") as file:
            head = file.read(HEAD)
    except (OSError, ValueError):
        return False
    return f'content="{record.digest}"' in head


def paint(found: list[Drawing]) -> tuple[list[tuple[Drawing, str]], list[str]]:
    """Paint figures for a page; what cannot be painted is said, each reason once."""
    figures, missing = [], []
    for place, drawing in enumerate(found):
        try:
            text = inline(drawing.paint(), f"f{place}", drawing.alt)
        except UserError as error:
            missing.append(str(error))
        else:
            figures.append((drawing, text))
    return figures, list(dict.fromkeys(missing))
