"""A picture of what the network will see: a few pictures, each as several epochs augment it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from residua.data.augmentation import Augmentation, mix
from residua.data.dataset import Data, Places
from residua.data.draws import order
from residua.data.lettering import FAINT, INK, PAPER, Pen
from residua.data.loading.loader import Loader
from residua.errors import UserError
from residua.files import replacing
from residua.weights.metadata import Preprocessing

CONSIDERED = 1000  # pictures among which the shown ones are chosen
LEAST_SIDE = 112  # smaller pictures are enlarged to about this
GAP = 6
LINE = 20
DROP = 3  # of a text in its line


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
        self.height = self.side + GAP + LINE * (2 if captions else 1)  # of a row
        extent = (GAP + columns * (self.side + GAP), LINE + len(names) * self.height + GAP)
        self.image = Image.new("RGB", extent, PAPER)
        self.pen = Pen(ImageDraw.Draw(self.image))
        for row, name in enumerate(names):
            self.pen.write((GAP, self._top(row) - LINE + DROP), name, INK, extent[0] - 2 * GAP)

    def _left(self, column: int) -> int:
        return GAP + column * (self.side + GAP)

    def _top(self, row: int) -> int:
        return 2 * LINE + row * self.height

    def column(self, column: int, title: str, pixels: Tensor) -> None:
        """Draw one picture into each row."""
        self.pen.write((self._left(column), DROP), title, FAINT, self.side)
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
            place = (self._left(column), self._top(row) + self.side + DROP)
            self.pen.write(place, f"{own:.0%}{other}", FAINT, self.side)
