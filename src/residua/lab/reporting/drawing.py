"""What a figure of a report is: a picture that can be painted, in words, and as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from residua.data.sources.table import table_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cells = Sequence[Any]


@dataclass(frozen=True)
class Drawing:
    """A figure: its name, what is said of it, what it shows as a table, and how it is painted."""

    name: str
    title: str
    caption: str
    alt: str  # what it shows, for who cannot see it
    columns: Cells
    rows: Sequence[Cells]
    paint: Callable[[], Figure]

    @property
    def file(self) -> str:
        """The name of its table, beside the page."""
        return f"{self.name}.csv"

    def table(self) -> str:
        """Return what it shows as CSV; an empty cell is no number."""
        return table_text([self.columns, *self.rows])
