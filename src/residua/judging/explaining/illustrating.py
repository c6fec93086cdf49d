"""The picture of an explanation: what was given, where the network looked in it, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from residua.data.lettering import FAINT, INK, PAPER, Pen
from residua.errors import UserError
from residua.files import replacing
from residua.judging.explaining.colours import overlay, plain

if TYPE_CHECKING:
    from residua.judging.explaining.explanation import Explanation

LONGEST = 480  # pixels of a picture's longer side
LEAST = 240  # pixels of a column, so that there is room for text
EDGE, GAP, LINE, TEXT = 20, 16, 24, 15
BAR = 10  # height of the scale
SHARE = 52  # width of a probability
COLD, HOT = "nothing spoke for it", "most did"


def illustrate(explanation: Explanation, path: Path) -> Path:
    """Write an explanation as a PNG."""
    if path.suffix.lower() != ".png":
        raise UserError(f"{path} is not valid: the name must end in .png.")
    picture = drawn(explanation)
    with replacing(path) as temporary:
        picture.save(temporary, "PNG")
    return path


def drawn(explanation: Explanation) -> Image.Image:
    """Draw the picture beside the same under its heat map, with the first guesses below."""
    before, after = _panels(explanation)
    column = max(before.width, LEAST)
    lines = max(len(explanation.prediction.top) + 1, 4)
    extent = (2 * EDGE + 2 * column + GAP, 2 * EDGE + before.height + GAP + lines * LINE)
    sheet = Image.new("RGB", extent, PAPER)
    pen = Pen(ImageDraw.Draw(sheet), TEXT)
    left, right, below = EDGE, EDGE + column + GAP, EDGE + before.height + GAP
    sheet.paste(before, (left, EDGE))
    sheet.paste(after, (right, EDGE))
    _guesses(pen, (left, below), explanation, column)
    sheet.paste(_scale(column), (right, below + LINE + (LINE - BAR) // 2))
    _legend(pen, (right, below), explanation, column)
    return sheet


def _guesses(pen: Pen, place: tuple[int, int], explanation: Explanation, width: int) -> None:
    left, top = place
    pen.write(place, "What it says", FAINT, width)
    for line, guess in enumerate(explanation.prediction.top, 1):
        share = f"{guess.probability:.1%}"
        indent = SHARE - round(pen.font.getlength(share))
        pen.write((left + indent, top + line * LINE), share, FAINT, SHARE)
        pen.write((left + SHARE + TEXT, top + line * LINE), guess.label, INK, width - SHARE - TEXT)


def _legend(pen: Pen, place: tuple[int, int], explanation: Explanation, width: int) -> None:
    left, top = place
    pen.write(place, f"Where it looked for {explanation.guess.label}", FAINT, width)
    pen.write((left, top + 2 * LINE), COLD, FAINT, width)
    indent = width - round(pen.font.getlength(HOT))
    pen.write((left + indent, top + 2 * LINE), HOT, FAINT, width)
    pen.write((left, top + 3 * LINE), _note(explanation), FAINT, width)


def _panels(explanation: Explanation) -> tuple[Image.Image, Image.Image]:
    """Return the picture, and the same with heat over it, both in the size that is shown."""
    picture = Image.fromarray(plain(explanation.pixels).round().astype(np.uint8))
    enlarging = LONGEST // max(picture.size)
    part = enlarging if enlarging > 1 else min(1.0, LONGEST / max(picture.size))
    size = max(1, round(picture.width * part)), max(1, round(picture.height * part))
    shown = picture.resize(size, Image.Resampling.NEAREST if part > 1 else Image.Resampling.LANCZOS)
    heat = Image.fromarray(explanation.heat).resize(size, Image.Resampling.BILINEAR)
    left, top, right, bottom = (edge * part for edge in explanation.seen)
    laid = overlay(np.asarray(shown), np.asarray(heat, np.float32), (left, top, right, bottom))
    return shown, Image.fromarray(laid)


def _scale(width: int) -> Image.Image:
    """Draw the colours from cold to hot, as they lie on middle gray."""
    heat = np.linspace(0, 1, width, dtype=np.float32)[None].repeat(BAR, 0)
    gray = np.full((BAR, width, 3), 128, np.uint8)
    return Image.fromarray(overlay(gray, heat))


def _note(explanation: Explanation) -> str:
    """Say what one could mistake."""
    if not explanation.heat.any():
        return "Nothing in the picture spoke for it."
    if explanation.cells == (1, 1):
        return "Its last map has one cell: it cannot tell where."
    height, width = explanation.heat.shape
    left, top, right, bottom = explanation.seen
    outside = left >= 1 or top >= 1 or right <= width - 1 or bottom <= height - 1
    return "Pale: what it was not shown." if outside else ""
