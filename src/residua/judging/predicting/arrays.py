"""Images that are given as arrays or tensors: what they are, and batches of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from residua.errors import UserError

if TYPE_CHECKING:
    import numpy as np


def one_or_many(images: Any) -> tuple[bool, list[Tensor]]:
    """Return whether it is a single image, and all of them: each a tensor (channels, height, width)."""
    if isinstance(images, (list, tuple)):
        return False, [tensor for image in images for tensor in one_or_many(image)[1]]
    tensor = _tensor(images)
    if tensor.dim() not in (3, 4):
        raise UserError(f"expected an image of 3 axes or a batch of 4, not {tensor.dim()}.")
    return tensor.dim() == 3, [tensor] if tensor.dim() == 3 else list(tensor)


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
    if isinstance(image, Tensor):
        return _known(image)
    if not hasattr(image, "__array_interface__"):
        raise UserError(f"expected a tensor, an array or a path, not a {type(image).__name__}.")
    array: np.ndarray[Any, Any] = image
    tensor = _known(torch.as_tensor(array))
    return tensor if tensor.is_floating_point() else tensor.movedim(-1, -3)


def _known(tensor: Tensor) -> Tensor:
    if tensor.dtype != torch.uint8 and not tensor.is_floating_point():
        raise UserError(f"expected 8-bit pixels or floating numbers, not {str(tensor.dtype)[6:]}.")
    return tensor
