"""Which classes a network holds likeliest; equal ones in their own order, everywhere alike."""

from __future__ import annotations

from torch import Tensor

TOP = 5


def ranked(logits: Tensor, count: int = TOP) -> Tensor:
    """Return each row's best classes, best first, of equal ones the lowest first, as argmax has it."""
    if count >= logits.shape[1]:
        return _sorted(logits)
    places = logits.topk(count + 1, dim=1).indices.sort(dim=1).values
    best = places.gather(1, _sorted(logits.gather(1, places)))
    last, next_ = logits.gather(1, best)[:, -2:].unbind(1)
    best = best[:, :count]
    unsure = (~(last > next_)).nonzero()[:, 0]  # which of equal ones are the best, only sorting says
    if len(unsure):
        best[unsure] = _sorted(logits[unsure])[:, :count]
    return best


def _sorted(logits: Tensor) -> Tensor:
    return logits.sort(dim=1, descending=True, stable=True).indices
