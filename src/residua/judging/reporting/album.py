"""Pictures of a report: small versions as data URIs, and where the network looked in them."""

from __future__ import annotations

from dataclasses import dataclass

from residua.data.dataset import Data
from residua.data.facts import BadImageError
from residua.data.loading.reading import channels_read
from residua.data.pages import webp
from residua.judging.explaining.colours import laid, shown
from residua.judging.explaining.explanation import heatmap
from residua.judging.figures.mistakes import Mistake
from residua.judging.model import Model
from residua.judging.showing.matching import class_names
from residua.weights.preprocessing import seen_box

SIDE = 224  # pixels at most, for screens that show more than one for one
TINY = 48  # pixels: smaller ones are enlarged, each pixel to a square


@dataclass(frozen=True)
class Case:
    """A mistake with its picture and the same under its heat map, as data URIs, or why there is none."""

    mistake: Mistake
    image: str = ""
    heat: str = ""
    reason: str = ""


class Album:
    """Shows pictures by name; one that cannot be had any more is no error."""

    def __init__(self, data: Data | None, model: Model | None) -> None:
        self.data, self.model = data, model
        self.rule = model.preprocessing if model else None
        self.place_of = {name: place for place, name in enumerate(data.names)} if data else {}
        self.number_of = {name: number for number, name in enumerate(class_names(model))} if model else {}

    def show(self, mistake: Mistake) -> Case:
        """Return a picture, and where the network looked for the class that it named."""
        place = self.place_of.get(mistake.path)
        if self.data is None or place is None:
            return Case(mistake, reason="the picture is gone")
        try:
            pixels = self.data.read(place, channels_read(self.rule) if self.rule else "rgb", self._needed)
        except BadImageError as error:  # it could be read when it was judged
            return Case(mistake, reason=error.reason)
        height, width = pixels.shape[:2]
        enlarged = max(width, height) <= TINY
        picture = shown(pixels, _part(width, height))
        image = webp(picture, lossless=enlarged)
        number = self.number_of.get(mistake.predicted)
        if self.model is None or self.rule is None or number is None:
            return Case(mistake, image)
        heat = laid(picture, heatmap(self.model, pixels, number), seen_box(width, height, self.rule))
        return Case(mistake, image, webp(heat, lossless=enlarged))

    def _needed(self, width: int, height: int) -> tuple[int, int]:
        """Ask for no larger a photo than the network or the page needs."""
        across, down = self.rule.resized(width, height) if self.rule else (0, 0)
        part = min(1.0, SIDE / max(width, height))
        return max(across, round(width * part)), max(down, round(height * part))


def _part(width: int, height: int) -> float:
    """Return how many times as large a picture is shown: whole numbers, or smaller."""
    longest = max(width, height)
    return 2 * TINY // longest if longest <= TINY else min(1.0, SIDE / longest)
