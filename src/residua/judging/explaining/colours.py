"""Colours of heat maps: the picture in gray, and over it heat from dark to bright, for every eye alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from residua.data.dataset import Pixels

Seen = tuple[float, float, float, float]  # left, top, right, bottom, in pixels

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
MOST, UNSEEN = (
    0.75,
    0.75,
)  # how much covers the picture: the hottest colour, and the white where nothing was seen
LUMA = np.array((0.299, 0.587, 0.114), np.float32)


def coloured(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the colour (red, green, blue) of each value from 0 to 1."""
    places = np.linspace(0, 1, len(STEPS))
    channels = [np.interp(heat, places, column) for column in zip(*STEPS, strict=True)]
    return np.stack(channels, -1).astype(np.float32)


def overlay(pixels: Pixels, heat: NDArray[np.float32], seen: Seen | None = None) -> Pixels:
    """Lay a heat map over a picture: RGB of the same size. What lies outside of what was seen is faded."""
    gray = plain(pixels) @ LUMA
    share = (MOST * np.sqrt(heat.clip(0, 1)))[..., None]
    mixed = gray[..., None] * (1 - share) + coloured(heat) * share
    if seen is not None:
        outside = _outside(gray.shape[0], gray.shape[1], seen)
        mixed[outside] += (255 - mixed[outside]) * np.float32(UNSEEN)
    drawn: Pixels = mixed.round().astype(np.uint8)
    return drawn


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
