"""What all figures have in common: one style whatever the user's own is, and how they are written."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from residua.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png")
FIXED: dict[str, Any] = {  # beside the default style, so that a figure depends on nothing but what it shows
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "svg.fonttype": "none",
    "svg.hashsalt": "residua",
    "text.parse_math": False,
}


@contextlib.contextmanager
def fixed(own: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Draw in one style, with settings of one's own; without matplotlib it says what to do."""
    try:
        from matplotlib import style
    except ImportError:
        raise UserError('figures need matplotlib: run pip install "residua[plots]"') from None
    with style.context(["default", {**FIXED, **(own or {})}]):
        yield


def kind_of(file: Path) -> str:
    """Return a figure's format by its file's name."""
    if file.suffix.lower() not in SUFFIXES:
        raise UserError(f"cannot draw into {file}: its name must end in {' or '.join(SUFFIXES)}.")
    return file.suffix.lower().removeprefix(".")


def rendered(figure: Figure, kind: str, dots: float) -> bytes:
    """Return a figure in a format, with so many dots per inch: the same bytes each time."""
    data = io.BytesIO()
    figure.savefig(data, format=kind, dpi=dots, metadata={"Date": None} if kind == "svg" else {})
    return data.getvalue()
