"""The loss: cross entropy against classes or shares of classes, smoothed and weighed as the recipe says."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(
    logits: Tensor, targets: Tensor, smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Return the mean loss of a batch, in float32 whatever computed the logits.

    Targets are classes (count,) or their shares (count, classes); weights are one for each class. The mean is
    over the pictures, also with weights, so that a batch in parts adds up to the batch.
    """
    total = F.cross_entropy(
        logits.float(), targets, weight=weights, label_smoothing=smoothing, reduction="sum"
    )
    return total / len(logits)


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """Return for each class the weight at which all classes count the same, and pictures 1 in the mean."""
    counts = torch.bincount(labels, minlength=classes)
    return len(labels) / (classes * counts.clamp(min=1)).float()
