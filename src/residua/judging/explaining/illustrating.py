"""An explanation, and the picture of it: what was given, where the network looked, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from residua.data.dataset import Pixels
from residua.data.lettering import FAINT, INK, PAPER, Pen
from residua.files import Name, check_suffix, replacing
from residua.judging.explaining.colours import Heat, Seen, laid, overlay, shown
from residua.judging.predicting.prediction import Guess, Prediction

LONGEST = 480  # pixels of a picture's longer side
LEAST = 240  # pixels of a column, so that there is room for text
EDGE, GAP, LINE, TEXT = 20, 16, 24, 15
BAR = 10  # height of the scale
SHARE = 52  # width of a probability
COLD, HOT = "nothing spoke for it", "most did"


@dataclass(frozen=True)
class Explanation:
    """A picture, what a model says of it, and where it looked for one of its classes."""

    prediction: Prediction
    guess: Guess  # the class that was looked for
    pixels: Pixels  # upright; a large photo was decoded smaller
    heat: Heat  # of every pixel; 0 where the network saw nothing
    seen: Seen  # where the network's square lies; a letterbox goes beyond the picture
    cells: tuple[int, int]  # rows and columns of the network's last maps: how finely it can tell

    def save(self, path: Name) -> Path:
        """Write a PNG: the picture, the same under its heat map, and the first guesses."""
        file = Path(path)
        check_suffix(file, ".png")
        picture = drawn(self)
        with replacing(file) as temporary:
            picture.save(temporary, "PNG")
        return file


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
    longest = max(explanation.heat.shape)
    enlarging = LONGEST // longest
    picture = shown(explanation.pixels, enlarging if enlarging > 1 else min(1.0, LONGEST / longest))
    return picture, laid(picture, explanation.heat, explanation.seen)


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
