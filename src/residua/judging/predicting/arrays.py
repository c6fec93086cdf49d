"""Images that are given as arrays or tensors: what they are, and batches of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from residua.data.dataset import Pixels
from residua.errors import UserError

PIXELS = "uint8"
FLOATS = ("float16", "bfloat16", "float32", "float64")


def one_or_many(images: Any) -> tuple[bool, list[Tensor]]:
    """Return whether it is a single image, and all of them: each a tensor (channels, height, width)."""
    if isinstance(images, (list, tuple)):
        return False, [tensor for image in images for tensor in one_or_many(image)[1]]
    tensor = _tensor(images)
    return tensor.dim() == 3, [tensor] if tensor.dim() == 3 else list(tensor)


def as_pixels(image: Any) -> Pixels:
    """Return 8-bit pixels (height, width, channels); anything else is an error."""
    if not isinstance(image, np.ndarray) or image.dtype != PIXELS or image.ndim != 3 or not image.size:
        raise UserError(
            "expected a path, or 8-bit pixels as an array (height, width, channels), "
            f"not {_described(image)}."
        )
    return image


def batches(images: list[Tensor], size: int) -> list[Tensor]:
    """Put neighbours of one shape and type together, at most so many, in order."""
    parts: list[list[Tensor]] = []
    for image in images:
        last = parts[-1] if parts else None
        if last and len(last) < size and (last[0].shape, last[0].dtype) == (image.shape, image.dtype):
            last.append(image)
        else:
            parts.append([image])
    return [torch.stack(part) for part in parts]


def _tensor(image: Any) -> Tensor:
    """Return an image or a batch with its channels before its height and width."""
    if not isinstance(image, (Tensor, np.ndarray)):
        raise UserError(f"expected a path, a NumPy array or a tensor, not {_described(image)}.")
    kind = _kind(image)
    if kind != PIXELS and kind not in FLOATS:
        raise UserError(f"expected 8-bit pixels or floating numbers, not {kind}.")
    if image.ndim not in (3, 4):
        raise UserError(f"expected an image of 3 axes or a batch of 4, not {image.ndim}.")
    if 0 in image.shape[-3:]:
        raise UserError(f"expected an image that has pixels, not one of shape {tuple(image.shape)}.")
    if isinstance(image, Tensor):
        return image
    tensor = torch.from_numpy(np.require(image, requirements=("C", "W")))  # not turned round, nor read-only
    return tensor if tensor.is_floating_point() else tensor.movedim(-1, -3)


def _kind(image: Tensor | np.ndarray[Any, Any]) -> str:
    return str(image.dtype).removeprefix("torch.")


def _described(image: Any) -> str:
    if isinstance(image, (Tensor, np.ndarray)):
        return f"{_kind(image)} of shape {tuple(image.shape)}"
    return f"a {type(image).__name__}"
