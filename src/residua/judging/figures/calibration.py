"""Whether a network is right as often as it says: calibration, and the temperature that mends it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from residua.judging.figures.outcomes import Outcomes
from residua.judging.figures.temperature import Kept

BINS = 15
UNCLEAR = 0.02  # a temperature this near to the present one changes nothing that matters


@dataclass(frozen=True)
class Bin:
    """Pictures whose first guess had a probability above `low`, up to `high`."""

    low: float
    high: float
    count: int
    confidence: float | None  # their mean probability; None without pictures
    accuracy: float | None  # the share that is right, from 0 to 1


@dataclass(frozen=True)
class Calibration:
    """How far probabilities and shares of right guesses lie apart; all from 0 to 1."""

    ece: float  # the mean distance, over pictures
    mce: float  # the largest distance of a bin
    bins: tuple[Bin, ...]
    temperature: float  # that the model has
    best_temperature: float | None  # that suits these pictures; None where none does
    best_ece: float | None
    best_loss: float | None
    fitted: int  # pictures it was fitted to
    colder_is_better: bool  # of none of them a wrong class is held likelier than the true one

    @property
    def leaning(self) -> str:
        """Say which way the probabilities err."""
        best = self.best_temperature
        if best is None:
            return "undetermined"
        if abs(best / self.temperature - 1) < UNCLEAR:
            return "fitting"
        return "over-confident" if best > self.temperature else "under-confident"


def calibrated(outcomes: Outcomes, kept: Kept, temperature: float) -> Calibration:
    """Hold the probabilities against what came true, now and at the temperature that fits best."""
    found = reliability(outcomes.chances[:, 0], outcomes.right)
    best = kept.best_temperature()
    after, loss = (None, None) if best is None else _after(kept, best)
    return Calibration(
        ece=error(found),
        mce=largest_error(found),
        bins=found,
        temperature=temperature,
        best_temperature=best,
        best_ece=after,
        best_loss=loss,
        fitted=len(kept),
        colder_is_better=kept.colder_is_better(),
    )


def reliability(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> tuple[Bin, ...]:
    """Divide pictures by the probability of their first guess into 15 bins of equal width."""
    place = np.clip(np.ceil(confidence.astype(np.float64) * BINS).astype(np.int64) - 1, 0, BINS - 1)
    counts, sums, hits = (
        np.bincount(place, weights, BINS) for weights in (None, confidence.astype(np.float64), right)
    )
    edges = np.linspace(0, 1, BINS + 1).tolist()
    return tuple(
        Bin(low, high, int(n), *((total / n, good / n) if n else (None, None)))
        for low, high, n, total, good in zip(
            edges, edges[1:], counts.tolist(), sums.tolist(), hits.tolist(), strict=False
        )
    )


def error(bins: tuple[Bin, ...]) -> float:
    """Return the expected calibration error (ECE)."""
    return sum(each.count * _gap(each) for each in bins) / sum(each.count for each in bins)


def largest_error(bins: tuple[Bin, ...]) -> float:
    """Return the maximum calibration error (MCE)."""
    return max(map(_gap, bins))


def _gap(one: Bin) -> float:
    return 0.0 if one.confidence is None or one.accuracy is None else abs(one.confidence - one.accuracy)


def _after(kept: Kept, temperature: float) -> tuple[float, float]:
    confidence, right, losses = kept.at(temperature)
    return error(reliability(confidence, right)), float(losses.mean())
