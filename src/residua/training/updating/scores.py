"""What the scores of the passes so far mean: which is better, when the rate drops, when to stop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from residua.training.recipes import Recipe


def is_better(recipe: Recipe, score: float, best: float | None) -> bool:
    """Whether a score of the recipe's metric beats the best so far; what is no number never does."""
    if best is None:
        return score == score
    return score < best if recipe.metric == "loss" else score > best


def drops(recipe: Recipe, scores: Sequence[float]) -> int:
    """Count how often the rate has dropped: each time so many passes went by without a better score."""
    waited, dropped = 0, 0
    for better in _betters(recipe, scores):
        waited = 0 if better else waited + 1
        if waited == recipe.plateau:
            waited, dropped = 0, dropped + 1
    return dropped


def is_over(recipe: Recipe, scores: Sequence[float]) -> bool:
    """Whether the recipe's patience is at its end."""
    waited = 0
    for better in _betters(recipe, scores):
        waited = 0 if better else waited + 1
    return recipe.patience is not None and waited >= recipe.patience


def _betters(recipe: Recipe, scores: Sequence[float]) -> Iterator[bool]:
    """Say of each score whether it was better than all before."""
    best = None
    for score in scores:
        better = is_better(recipe, score, best)
        best = score if better else best
        yield better
