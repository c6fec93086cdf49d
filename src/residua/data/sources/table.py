"""Tables as CSV, those of pictures above all: any name survives, and no spreadsheet runs one."""

from __future__ import annotations

import csv
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import TextIO

from residua.data.dataset import Data
from residua.data.pictures import Files
from residua.data.sources.labels import PART_NAMES, numbered_classes, numbered_parts, part_named
from residua.errors import UserError, unknown
from residua.files import regular, replacing

NEEDED = ("path", "label")
OPTIONAL = ("split", "group")
LINE_LIMIT = 1 << 20  # characters
SHOWN = 200  # characters of a header in a message
# What a spreadsheet takes for a formula, behind any quotes that were put before it; a signed number is none.
FORMULA = re.compile(r"'*(?:[=@\t\r\n\uff1d\uff20\uff0b\uff0d]|[+-](?!\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\Z))")


def write_table(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write rows, the header first; a cell that a spreadsheet would run gets a quote before it."""
    try:
        with (
            replacing(path) as temporary,
            temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
        ):
            csv.writer(file).writerows(map(safe, rows))
    except UnicodeEncodeError as error:
        raise UserError(f"{str(path)!r} cannot hold the name {error.object!r}, which is no text.") from None


def table_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as CSV, the header first; None is an empty cell."""
    text = StringIO()
    cells = (["" if cell is None else str(cell) for cell in row] for row in rows)
    csv.writer(text, lineterminator="\n").writerows(map(safe, cells))
    return text.getvalue()


def safe(row: Iterable[str]) -> list[str]:
    """Put a quote before each cell that a spreadsheet would run; `read_rows` takes it away."""
    return [f"'{cell}" if FORMULA.match(cell) else cell for cell in row]


def read_rows(path: Path, needed: Sequence[str], optional: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """Yield the rows by column, with the row's number as "row"; further columns are left out."""
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="", opener=regular) as file:
            rows = _numbered(path, file)
            header = next(rows, (1, []))[1]
            columns = _columns(path, header, needed, optional)
            for number, cells in rows:
                if len(cells) != len(header):
                    raise UserError(
                        f"row {number} of {str(path)!r} has {len(cells)} cells, the header {len(header)}: "
                        "put cells that hold commas into double quotes."
                    )
                yield {"row": str(number)} | {name: cells[place] for name, place in columns.items()}
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read: {error.strerror}.") from None


def open_table(path: Path, where: str, root: Path | None = None) -> Data:
    """Read a CSV of pictures: path, label and, where wanted, split and group."""
    root = path.parent if root is None else root
    top = posixpath.normpath(root.absolute().as_posix()).rstrip("/") + "/"
    rows_of: dict[str, str] = {}
    labels, parts, groups = [], [], []
    one: dict[str, str] = {}  # equal labels are one string, for there may be a million
    for row in read_rows(path, NEEDED, OPTIONAL):
        name = _inside(path, row, top)
        if name in rows_of:
            raise UserError(f"rows {rows_of[name]} and {row['row']} of {str(path)!r} both name {name!r}.")
        rows_of[name] = row["row"]
        if not row["label"]:
            raise UserError(f"row {row['row']} of {str(path)!r} has no label.")
        labels.append(one.setdefault(row["label"], row["label"]))
        parts.append(_part(path, row))
        groups.append(row.get("group", ""))
    if not labels:
        raise UserError(f"{str(path)!r} lists no pictures: it has no rows below its header.")
    _check_all_or_none(path, parts, rows_of)
    names = list(rows_of)
    numbered = numbered_parts(parts)
    classes, numbers = numbered_classes(where, labels, numbered)
    own_groups = groups if any(groups) else None
    return Data(where, "csv", classes, names, numbers, numbered, Files(root, names), own_groups)


def _numbered(path: Path, file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Yield rows that are not blank, counted from 1 as a spreadsheet counts them, without added quotes."""
    number = 0
    try:
        for number, cells in enumerate(csv.reader(_lines(path, file), strict=True), 1):
            if cells:
                yield (
                    number,
                    [cell[1:] if cell[0:1] == "'" and FORMULA.match(cell) else cell for cell in cells],
                )
    except csv.Error as error:
        raise UserError(f"{str(path)!r} is no CSV, in the row after row {number}: {error}.") from None


def _lines(path: Path, file: TextIO) -> Iterator[str]:
    while line := file.readline(LINE_LIMIT):
        if len(line) == LINE_LIMIT:
            raise UserError(f"{str(path)!r} is no CSV: it has a line of more than {LINE_LIMIT:,} characters.")
        yield line


def _columns(
    path: Path, header: Sequence[str], needed: Sequence[str], optional: Sequence[str]
) -> Mapping[str, int]:
    """Return where each known column is; a missing one is an error, and so is one that looks misspelt."""
    known = [*needed, *optional]
    found = {name: place for place, name in enumerate(header) if name in known}
    if twice := [name for name in found if header.count(name) > 1]:
        raise UserError(f"{str(path)!r} has two columns {twice[0]!r}.")
    extra = {name.strip().lower(): name for name in header if name not in known}
    for name in known:
        near = get_close_matches(name, extra, n=1, cutoff=0.75)
        if name not in found and (near or name in needed):
            hint = f"write {name!r} for {extra[near[0]]!r}" if near else _hint(header, name)
            columns = ", ".join(header)[:SHOWN]
            raise UserError(f"{str(path)!r} has the columns {columns!r}, not {name!r}: {hint}.")
    return found


def _hint(header: Sequence[str], name: str) -> str:
    """Say how to mend a header that has none of the names."""
    row = "".join(header)
    if "\0" in row:
        return "save it as UTF-8"
    return "put commas between cells" if ";" in row or "\t" in row else f"its first row must name {name!r}"


def _inside(path: Path, row: Mapping[str, str], top: str) -> str:
    """Return a row's path below the top, without following links; one that leads elsewhere is an error."""
    given, place = row["path"], f"row {row['row']} of {str(path)!r}"
    if not given or "\0" in given:
        raise UserError(f"{place} has no path." if not given else f"{place} has a NUL in its path.")
    whole = posixpath.normpath(posixpath.join(top, given))
    if not whole.startswith(top):
        raise UserError(f"{place} names {given!r}, which is not a file inside {top!r}.")
    return whole[len(top) :]


def _part(path: Path, row: Mapping[str, str]) -> str | None:
    split = row.get("split", "")
    part = part_named(split)
    if split and part is None:
        raise unknown(f"split in row {row['row']} of {str(path)!r}:", split, PART_NAMES)
    return part


def _check_all_or_none(path: Path, parts: Sequence[str | None], rows_of: Mapping[str, str]) -> None:
    if any(parts) and None in parts:
        row = list(rows_of.values())[parts.index(None)]
        raise UserError(f"row {row} of {str(path)!r} has no split, but others have one: give all rows one.")
