"""Pixels picked by their coordinates, all pictures of a batch at once."""

from __future__ import annotations

import torch
from torch import Tensor


def picked(pixels: Tensor, rows: Tensor, columns: Tensor, fill: Tensor) -> Tensor:
    """Take pixels by row and column, together (count, height, width); outside is `fill`, (channels)."""
    count, channels, height, width = pixels.shape
    beyond = height * width  # where the fill stands, behind the last pixel
    down = torch.where((rows >= 0) & (rows < height), rows * width, beyond)
    across = torch.where((columns >= 0) & (columns < width), columns, beyond)
    index = (down + across).clamp_(max=beyond)
    flat = torch.cat([pixels.flatten(2), fill[:, None].expand(count, -1, 1)], 2)
    result = flat.gather(2, index.flatten(1)[:, None].expand(-1, channels, -1))
    return result.view(count, channels, *index.shape[1:])


def affine(pixels: Tensor, matrices: Tensor, fill: Tensor) -> Tensor:
    """Move pictures by matrices (count, 2, 3) about their centres, to the nearest pixel.

    A matrix leads from a pixel of the result to where it comes from, as `(x, y, 1)`.
    """
    height, width = pixels.shape[2:]
    y = torch.arange(height, device=pixels.device)[:, None] + 0.5 - height / 2
    x = torch.arange(width, device=pixels.device) + 0.5 - width / 2
    across, down = (
        matrices[:, axis, 0, None, None] * x
        + matrices[:, axis, 1, None, None] * y
        + matrices[:, axis, 2, None, None]
        for axis in (0, 1)
    )
    rows, columns = (down + height / 2).floor().long(), (across + width / 2).floor().long()
    return picked(pixels, rows, columns, fill)


def rectangles(corners: Tensor, extents: Tensor, size: tuple[int, int]) -> Tensor:
    """Say which pixels (count, 1, height, width) lie in rectangles; corners and extents are (count, 2)."""
    inside = []
    for axis, length in enumerate(size):
        places = torch.arange(length, device=corners.device)
        start = corners[:, axis, None]
        inside.append((places >= start) & (places < start + extents[:, axis, None]))
    return (inside[0][:, :, None] & inside[1][:, None, :])[:, None]
