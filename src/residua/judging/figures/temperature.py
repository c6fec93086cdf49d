"""The temperature: what a network's scores are divided by, so that its probabilities come true."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ROOM = 16 * 2**20  # bytes of logits that are kept
AT_ONCE = 2**21  # numbers that are computed with at once
COLDEST, HOTTEST = 1e-9, 1e9
EXACT = 1e-5
STEPS = 100


class Kept:
    """Logits to fit a temperature to: all of them, or of very many every second, third and so on."""

    def __init__(self, labels: NDArray[np.int32], classes: int, room: int = ROOM) -> None:
        self.every = max(1, -(-len(labels) * classes * 4 // room))
        self.labels = torch.from_numpy(labels[:: self.every].astype(np.int64))
        self.logits = torch.empty(len(self.labels), classes)

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.labels)

    def add(self, start: int, logits: Tensor) -> None:
        """Keep what is to be kept of the logits of the pictures from `start` on."""
        chosen = logits[-start % self.every :: self.every]
        first = -(-start // self.every)
        self.logits[first : first + len(chosen)] = chosen

    def only(self, good: NDArray[np.bool_]) -> Kept:
        """Return what is kept of the pictures that are good, once all are there."""
        if good.all():
            return self
        chosen, found = torch.from_numpy(good[:: self.every].copy()), copy(self)
        found.labels, found.logits = self.labels[chosen], self.logits[chosen]
        return found

    def best_temperature(self) -> float | None:
        """Return the temperature at which the mean cross entropy is least; None if there is no such one.

        There is none where no class is held likelier than the true one (the colder the better), or where the
        scores say nothing of the classes (no colder is better). The loss is convex in 1 / temperature, so
        Newton's steps find the one place where its slope is 0; those that leave the bounds or hardly shrink
        give way to halving.
        """
        low, high = 1 / HOTTEST, 1 / COLDEST
        if self._unrivalled() or self._slope(high)[0] <= 0 or self._slope(low)[0] >= 0:
            return None
        sharpness, before = 1.0, math.inf
        for _ in range(STEPS):
            slope, curvature = self._slope(sharpness)
            low, high = (sharpness, high) if slope < 0 else (low, sharpness)
            step = slope / curvature if curvature > 0 else math.inf
            if not low <= sharpness - step <= high or 2 * abs(step) > before:
                step = sharpness - math.sqrt(low * high)
            sharpness, before = sharpness - step, abs(step)
            if before < EXACT * sharpness:
                return 1 / sharpness
        return None

    def colder_is_better(self) -> bool:
        """Whether that is why no temperature is best."""
        return self._unrivalled() and self._slope(1.0)[0] < 0

    def at(self, temperature: float) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
        """Return the first guess's probability, whether it is right, and the loss, at a temperature."""
        confidence, right, losses = [], [], []
        for logits, labels in self._parts():
            logs = (logits / temperature).log_softmax(1)
            best = logits.argmax(1, keepdim=True)
            confidence.append(logs.gather(1, best)[:, 0].exp().float())
            right.append(best[:, 0] == labels)
            losses.append(-logs.gather(1, labels[:, None])[:, 0].float())
        return torch.cat(confidence).numpy(), torch.cat(right).numpy(), torch.cat(losses).numpy()

    def _unrivalled(self) -> bool:
        """Whether no class is held likelier than the true one: no loss is too great for a colder network."""
        return all(
            bool((logits.amax(1) == logits.gather(1, labels[:, None])[:, 0]).all())
            for logits, labels in self._parts()
        )

    def _slope(self, sharpness: float) -> tuple[float, float]:
        """Return the first and second derivative of the loss by 1 / temperature, summed."""
        slope = curvature = 0.0
        for logits, labels in self._parts():
            logits = logits - logits.gather(1, labels[:, None])
            chances = (logits * sharpness).softmax(1)
            means = (chances * logits).sum(1, keepdim=True)
            slope += float(means.sum())
            curvature += float((chances * (logits - means) ** 2).sum())
        return slope, curvature

    def _parts(self) -> Iterator[tuple[Tensor, Tensor]]:
        rows = max(1, AT_ONCE // self.logits.shape[1])
        for logits, labels in zip(
            torch.split(self.logits, rows), torch.split(self.labels, rows), strict=True
        ):
            yield logits.double(), labels
