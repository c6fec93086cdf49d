"""Writing into pictures: one line each, whatever a name holds and however long it is."""

from __future__ import annotations

import contextlib

from PIL import ImageDraw, ImageFont

from residua.text import visible

FONTS = ("NotoSansCJK-Regular.ttc", "DejaVuSans.ttf", "Arial Unicode.ttf", "arial.ttf")  # first found
SIZE = 12
LONGEST = 200  # characters of a name that are looked at
INK, FAINT, PAPER = "#1c1c1c", "#6b6b6b", "#ffffff"


class Pen:
    """Writes lines into a picture."""

    def __init__(self, paint: ImageDraw.ImageDraw, size: int = SIZE) -> None:
        self.paint = paint
        self.font = _font(size)

    def write(self, place: tuple[int, int], text: str, colour: str, width: int) -> None:
        """Write a line that is no longer than it may be; what cannot be drawn is written as an escape."""
        signs = visible(text[:LONGEST])
        text = "".join(sign if self._drawable(sign) else _escaped(sign) for sign in signs)
        if self.font.getlength(text) > width:
            while text and self.font.getlength(text + "...") > width:
                text = text[:-1]
            text += "..."
        self.paint.text(place, text, colour, self.font)

    def _drawable(self, sign: str) -> bool:
        """Whether the font has a sign; it draws the same box for all that it lacks."""
        return sign == " " or bytes(self.font.getmask(sign)) != bytes(self.font.getmask("\U0010fffd"))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a font of this machine with many scripts, or else Pillow's own."""
    for name in FONTS:
        with contextlib.suppress(OSError):
            return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode()
