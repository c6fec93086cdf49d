"""What changes during a training, as functions of how far it is: nothing to save, nothing to lose."""

from __future__ import annotations

import math
from collections.abc import Sequence

from residua.training.recipes import Recipe
from residua.training.updating.scores import drops


def rate(recipe: Recipe, step: int, steps: int, scores: Sequence[float] = ()) -> float:
    """Return what the learning rate is multiplied by in an update, of which `step` went before.

    `scores` are those of the passes so far, which a plateau is seen in. No update is wasted on a rate of 0.
    """
    warm = warmup_steps(recipe, steps)
    if step < warm:
        return recipe.warmup_factor or (step + 1) / (warm + 1)
    left = (steps - step) / (steps - warm)
    if recipe.schedule == "cosine":
        return (1 - math.cos(math.pi * left)) / 2
    if recipe.schedule == "linear":
        return left
    return _factor(recipe) ** _drops(recipe, step, steps, scores)


def _factor(recipe: Recipe) -> float:
    return recipe.factor or 1.0


def _drops(recipe: Recipe, step: int, steps: int, scores: Sequence[float]) -> int:
    if recipe.schedule == "plateau":
        return drops(recipe, scores)
    return sum(step >= round(milestone * steps) for milestone in recipe.milestones or ())


def warmup_steps(recipe: Recipe, steps: int) -> int:
    """Return how many updates the warm-up has; at least one is left behind it."""
    return min(round(recipe.warmup * steps), steps - 1)


def size_at(recipe: Recipe, step: int, steps: int, size: int) -> int:
    """Return the side of the pictures in an update, of which `step` went before; `size` is the full one.

    Other sides than the full one are multiples of what networks divide by: 32 for photos, 4 for small ones.
    """
    share = recipe.sizes[min(step, steps - 1) * len(recipe.sizes) // steps]
    if share == 1:
        return size
    grain = 32 if size >= 128 else 4
    return min(size, max(grain, round(share * size / grain) * grain))
