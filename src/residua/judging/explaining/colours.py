"""Colours of heat maps: the picture in gray, and over it heat from dark to bright, for every eye alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.data.dataset import Pixels

Heat = NDArray[np.float32]  # (height, width), from 0 to 1
Seen = tuple[float, float, float, float]  # left, top, right, bottom, in the picture's pixels

# Matplotlib's "inferno": it grows evenly brighter, so those who are colour-blind read it too.
STEPS = (
    (0, 0, 4),
    (31, 12, 72),
    (85, 15, 109),
    (136, 34, 106),
    (186, 54, 85),
    (227, 89, 51),
    (249, 140, 10),
    (249, 201, 50),
    (252, 255, 164),
)
MOST = 0.75  # how much of the picture the hottest colour covers
UNSEEN = 0.75  # and how much of it is white where nothing was seen
LUMA = np.array((0.299, 0.587, 0.114), np.float32)


def coloured(heat: Heat) -> NDArray[np.float32]:
    """Return the colour (red, green, blue) of each value from 0 to 1."""
    places = np.linspace(0, 1, len(STEPS))
    channels = [np.interp(heat, places, column) for column in zip(*STEPS, strict=True)]
    return np.stack(channels, -1).astype(np.float32)


def overlay(pixels: Pixels, heat: Heat, seen: Seen | None = None) -> Pixels:
    """Lay a heat map over a picture: RGB of the same size. What lies outside of what was seen is faded."""
    gray = plain(pixels) @ LUMA
    share = (MOST * np.sqrt(heat.clip(0, 1)))[..., None]
    mixed = gray[..., None] * (1 - share) + coloured(heat) * share
    if seen is not None:
        outside = _outside(gray.shape[0], gray.shape[1], seen)
        mixed[outside] += (255 - mixed[outside]) * np.float32(UNSEEN)
    drawn: Pixels = mixed.round().astype(np.uint8)
    return drawn


def shown(pixels: Pixels, part: float) -> Image.Image:
    """Return a picture as RGB, enlarged each pixel to a square, or made smaller."""
    picture = Image.fromarray(plain(pixels).round().astype(np.uint8))
    size = max(1, round(picture.width * part)), max(1, round(picture.height * part))
    return picture.resize(size, Image.Resampling.NEAREST if part > 1 else Image.Resampling.LANCZOS)


def laid(picture: Image.Image, heat: Heat, seen: Seen) -> Image.Image:
    """Lay over a picture, as it is shown, the heat map of the picture as it was."""
    across, down = picture.width / heat.shape[1], picture.height / heat.shape[0]
    fitting = Image.fromarray(heat).resize(picture.size, Image.Resampling.BILINEAR)
    left, top, right, bottom = seen
    box = left * across, top * down, right * across, bottom * down
    return Image.fromarray(overlay(np.asarray(picture), np.asarray(fitting, np.float32), box))


def plain(pixels: Pixels) -> NDArray[np.float32]:
    """Return gray, RGB or RGBA pixels as RGB; what is transparent lies on white."""
    values = pixels.astype(np.float32)
    if values.shape[2] == 4:
        cover = values[..., 3:] / 255
        values = (values[..., :3] * cover + 255 * (1 - cover)).astype(np.float32)
    return values if values.shape[2] == 3 else values.repeat(3, 2)


def _outside(height: int, width: int, seen: Seen) -> NDArray[np.bool_]:
    left, top, right, bottom = seen
    across, down = np.arange(width) + 0.5, np.arange(height) + 0.5
    rows, columns = (down >= top) & (down <= bottom), (across >= left) & (across <= right)
    outside: NDArray[np.bool_] = ~(rows[:, None] & columns)
    return outside
