"""The pages of a lab kept up to date while it works."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from residua.errors import UserError
from residua.lab.reporting.page import is_current, write_index, write_page
from residua.lab.reporting.records import Record, find_records, read_record

SHARE = 0.05  # of the time that pages may take while trials are run


class Pages:
    """Writes the pages of what has changed: now and then while a sweep is at work, and all at its end."""

    def __init__(
        self,
        lab: Path,
        names: list[str],
        scale: str,
        apart: Callable[[str], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Write pages of a lab; `apart` is given what is written, and what goes wrong with it."""
        self._lab, self._names, self._scale, self._apart = lab, names, scale, apart
        self._changed: dict[str, None] = {}  # names, in the order in which they did
        self._began = time.monotonic()
        self._spent = 0.0

    def changed(self, name: str) -> None:
        """Take note of new results, and write a page if pages have not taken much of the time so far."""
        self._changed[name] = None
        if self._spent <= SHARE * (time.monotonic() - self._began):
            self._write(next(iter(self._changed)))

    def finish(self) -> None:
        """Write every page that is not of the results that are there, and the one that leads to all."""
        for name in self._names:
            self._write(name)
        with self._apart("the page that leads to all"):
            write_index(self._lab)

    def _write(self, name: str) -> None:
        began = time.monotonic()
        self._changed.pop(name, None)
        with self._apart(f"the page of {name}"):
            record = read_record(self._lab, name, self._scale)
            if not is_current(record):
                write_page(record)
        self._spent += time.monotonic() - began


def write_pages(
    lab: Path, name: str | None = None, scale: str | None = None, say: Callable[[str], object] | None = None
) -> list[Path]:
    """Write the pages of all experiments and scales, or of those named, and the one that leads to all."""
    pages = [write_page(record) for record in wanted(lab, name, scale, say)]
    return [*pages, write_index(lab)]


def wanted(
    lab: Path, name: str | None = None, scale: str | None = None, say: Callable[[str], object] | None = None
) -> list[Record]:
    """Return the records asked for; without any it is an error that says what to do."""
    found = find_records(lab, name, scale, say)
    if not found:
        at = f" at scale {scale}" if scale else ""
        raise UserError(
            f"nothing has been run{at} below {lab}: `residua lab run degradation` would be a beginning."
        )
    return found
