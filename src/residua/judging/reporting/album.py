"""Pictures of a report: small versions as data URIs, and where the network looked in them."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from residua.data.dataset import Data, Pixels
from residua.data.facts import BadImageError
from residua.errors import UserError
from residua.weights.preprocessing import seen_box

if TYPE_CHECKING:
    from residua.judging.model import Model

SIDE = 224  # pixels at most, for screens that show more than one for one
TINY = 48  # pixels: smaller ones are enlarged, each pixel to a square


@dataclass(frozen=True)
class Shown:
    """A picture and the same with its heat map, as data URIs, or why there is none."""

    image: str | None
    heat: str | None = None
    reason: str = ""


class Album:
    """Shows pictures by name; one that cannot be had any more is no error."""

    def __init__(self, data: Data | None, model: Model | None) -> None:
        self.data, self.model = data, model
        names = data.names if data else ()
        self._place_of = {name: place for place, name in enumerate(names)}
        self.show = cache(self._shown)

    def _shown(self, name: str) -> Shown:
        """Return what there is of a picture."""
        place = self._place_of.get(name)
        if self.data is None or place is None:
            return Shown(None, reason="the picture is gone")
        try:
            pixels = self.data.read(place, self._channels, self._needed)
        except BadImageError as error:  # it is gone, or has changed, since it was judged
            return Shown(None, reason=error.reason)
        picture, lossless = _small(_upright(pixels))
        return Shown(_packed(picture, lossless), self._heated(pixels, picture, lossless))

    @property
    def _channels(self) -> str:
        rule = self.model.preprocessing if self.model else None
        return "rgb" if rule is None or rule.channels == "bgr" else rule.channels

    def _needed(self, width: int, height: int) -> tuple[int, int]:
        """Ask for no larger a photo than the network or the page needs."""
        rule = self.model.preprocessing if self.model else None
        across, down = rule.resized(width, height) if rule else (0, 0)
        part = min(1.0, SIDE / max(width, height))
        return max(across, round(width * part)), max(down, round(height * part))

    def _heated(self, pixels: Pixels, picture: Image.Image, lossless: bool) -> str | None:
        """Lay over a picture where the network looked; some models do not say what they are shown."""
        if self.model is None or (rule := self.model.preprocessing) is None:
            return None
        from residua.judging.explaining.colours import overlay
        from residua.judging.explaining.explanation import heatmap

        try:
            heat = Image.fromarray(heatmap(self.model, pixels))
        except UserError:
            return None
        heat = heat.resize(picture.size, Image.Resampling.BILINEAR)
        height, width = pixels.shape[:2]
        across, down = picture.width / width, picture.height / height
        left, top, right, bottom = seen_box(width, height, rule)
        seen = (left * across, top * down, right * across, bottom * down)
        laid = overlay(np.asarray(picture), np.asarray(heat, np.float32), seen)
        return _packed(Image.fromarray(laid), lossless)


def _upright(pixels: Pixels) -> Image.Image:
    """Return RGB; what is transparent lies on white."""
    if pixels.shape[2] == 1:
        return Image.fromarray(pixels[:, :, 0]).convert("RGB")
    picture = Image.fromarray(pixels)
    if picture.mode == "RGBA":
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture)
    return picture.convert("RGB")


def _small(picture: Image.Image) -> tuple[Image.Image, bool]:
    """Return a picture as it is shown, and whether each of its pixels is to be seen."""
    width, height = picture.size
    longest = max(width, height)
    if longest <= TINY:
        times = 2 * TINY // longest
        return picture.resize((width * times, height * times), Image.Resampling.NEAREST), True
    part = min(1.0, SIDE / longest)
    size = max(1, round(width * part)), max(1, round(height * part))
    return picture.resize(size, Image.Resampling.LANCZOS), False


def _packed(picture: Image.Image, lossless: bool) -> str:
    packed = io.BytesIO()
    picture.save(packed, "WEBP", quality=75, lossless=lossless)
    return "data:image/webp;base64," + base64.b64encode(packed.getvalue()).decode()
