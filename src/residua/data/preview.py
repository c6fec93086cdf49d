"""A picture of what the network will see: a few pictures, each as several epochs augment it."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from residua.data.augmentation import Augmentation, mix
from residua.data.checking.findings import visible
from residua.data.dataset import Data, Places
from residua.data.draws import order
from residua.data.loading.loader import Loader
from residua.errors import UserError
from residua.files import replacing
from residua.weights.metadata import Preprocessing

CONSIDERED = 1000  # pictures among which the shown ones are chosen
LEAST_SIDE = 112  # smaller pictures are enlarged to about this
GAP = 6
LINE = 20
FONTS = ("NotoSansCJK-Regular.ttc", "DejaVuSans.ttf", "Arial Unicode.ttf", "arial.ttf")  # first found
FONT_SIZE = 12
INK, FAINT, PAPER = "#1c1c1c", "#6b6b6b", "#ffffff"


def preview(
    data: Data,
    places: Places,
    rule: Preprocessing,
    augmentation: Augmentation,
    seed: int,
    path: Path,
    columns: int = 8,
    rows: int = 6,
) -> None:
    """Write a PNG grid: in each row a picture as it is judged, then as the first epochs train on it."""
    if not len(places):
        raise UserError(f"{data.where!r} has no pictures to preview.")
    shown = _varied(data, places, seed, rows)
    names = [data.classes[label] for label in data.labels[shown]]
    sheet = _Sheet(names, rule.size, columns, augmentation.mixes)
    sheet.column(0, "as judged", _seen(data, shown, rule, Augmentation(), seed, 0)[0])
    for epoch in range(columns - 1):
        pixels, shares = _seen(data, shown, rule, augmentation, seed, epoch)
        sheet.column(epoch + 1, f"epoch {epoch}", pixels)
        if augmentation.mixes:
            sheet.shares(epoch + 1, shares)
    with replacing(path) as temporary:
        sheet.image.save(temporary, "PNG")


def _varied(data: Data, places: Places, seed: int, count: int) -> Places:
    """Choose pictures of as many classes as there are, and put them in the classes' order."""
    candidates = places[order(seed, 0, len(places)).numpy()][:CONSIDERED]
    before: Counter[int] = Counter()
    ranks = []
    for label in data.labels[candidates].tolist():
        ranks.append(before[label])
        before[label] += 1
    chosen: Places = candidates[np.argsort(ranks, kind="stable")[:count]]
    chosen.sort()
    return chosen[np.argsort(data.labels[chosen], kind="stable")]


def _seen(
    data: Data, places: Places, rule: Preprocessing, augmentation: Augmentation, seed: int, epoch: int
) -> tuple[Tensor, Tensor]:
    """Return the pictures as the network sees them, and which share of each (row) is whose (column)."""
    loader = Loader(data, places, rule, len(places), seed=seed, augmentation=augmentation)
    (batch,) = loader.epoch(epoch)
    return mix(batch.pixels, torch.eye(len(places)), batch.places, augmentation, seed, epoch)


class _Sheet:
    """The grid, drawn column by column."""

    def __init__(self, names: list[str], size: int, columns: int, captions: bool) -> None:
        self.names = names
        self.zoom = max(1, round(LEAST_SIDE / size))
        self.side = size * self.zoom
        self.font = _font()
        self.height = self.side + GAP + LINE * (2 if captions else 1)  # of a row
        extent = (GAP + columns * (self.side + GAP), LINE + len(names) * self.height + GAP)
        self.image = Image.new("RGB", extent, PAPER)
        self.paint = ImageDraw.Draw(self.image)
        for row, name in enumerate(names):
            self.write((GAP, self._top(row) - LINE), name, INK, extent[0] - 2 * GAP)

    def _left(self, column: int) -> int:
        return GAP + column * (self.side + GAP)

    def _top(self, row: int) -> int:
        return 2 * LINE + row * self.height

    def column(self, column: int, title: str, pixels: Tensor) -> None:
        """Draw one picture into each row."""
        self.write((self._left(column), 0), title, FAINT, self.side)
        for row, one in enumerate(pixels.permute(0, 2, 3, 1).cpu().numpy()):
            picture = Image.fromarray(one[:, :, 0] if one.shape[2] == 1 else one).convert("RGBA")
            picture = picture.resize((self.side, self.side), Image.Resampling.NEAREST)
            self.image.paste(picture, (self._left(column), self._top(row)), picture)

    def shares(self, column: int, shares: Tensor) -> None:
        """Write under each picture which share is its own, and what the rest is."""
        for row, mixed in enumerate(shares):
            own, rest = float(mixed[row]), mixed.clone()
            rest[row] = 0
            other = f" + {1 - own:.0%} {self.names[int(rest.argmax())]}" if own < 0.995 else ""
            place = (self._left(column), self._top(row) + self.side)
            self.write(place, f"{own:.0%}{other}", FAINT, self.side)

    def write(self, place: tuple[int, int], text: str, colour: str, width: int) -> None:
        """Write a line that is no longer than it may be, whatever a name holds."""
        signs = visible(text[:200])
        text = "".join(sign if self._drawable(sign) else _escaped(sign) for sign in signs)
        if self.font.getlength(text) > width:
            while text and self.font.getlength(text + "...") > width:
                text = text[:-1]
            text += "..."
        self.paint.text((place[0], place[1] + 3), text, colour, self.font)

    def _drawable(self, sign: str) -> bool:
        """Whether the font has a sign; it draws the same box for all that it lacks."""
        return sign == " " or bytes(self.font.getmask(sign)) != bytes(self.font.getmask("\U0010fffd"))


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a font of this machine with many scripts, or else Pillow's own."""
    for name in FONTS:
        with contextlib.suppress(OSError):
            return ImageFont.truetype(name, FONT_SIZE)
    return ImageFont.load_default(FONT_SIZE)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode()
