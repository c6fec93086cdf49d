"""Which classes a network holds likeliest; equal ones in their own order, everywhere alike."""

from __future__ import annotations

from torch import Tensor

TOP = 5


def ranked(logits: Tensor, count: int = TOP) -> Tensor:
    """Return each row's best classes, best first, of equal ones the lowest first, as argmax has it."""
    return logits.sort(dim=1, descending=True, stable=True).indices[:, :count]
