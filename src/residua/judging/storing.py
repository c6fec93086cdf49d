"""The temperature that an evaluation has found, written into the model file."""

from __future__ import annotations

from pathlib import Path

from residua.errors import UserError
from residua.files import Name
from residua.judging.evaluated import Evaluation
from residua.weights.modelfile import write_temperature


def store_temperature(path: Name, evaluation: Evaluation) -> float:
    """Write the temperature that fits best into the model's file, and return it; nothing else changes.

    >>> store_temperature("best.safetensors", evaluate("best.safetensors", "photos"))  # doctest: +SKIP
    1.37
    """
    check_storable(evaluation.views, evaluation.learned)
    best = evaluation.calibration.best_temperature
    if best is None:
        raise UserError(f"no temperature is stored: none fits best, as {evaluation.why_no_temperature}.")
    if evaluation.digest is None:
        raise UserError(f"no temperature is stored in {path}: the model that was judged is of no file.")
    write_temperature(Path(path), best, evaluation.digest)
    return best


def check_storable(views: str, learned: int | None) -> None:
    """Refuse to store a temperature that would not hold for new pictures, seen once."""
    if learned:
        raise UserError(
            f"{learned:,} of these pictures are for training, and a temperature fitted to what a network "
            "learned from would make it over-confident: store it from --part val, or from other pictures."
        )
    if views != "one":
        raise UserError(f"a temperature is for predictions from one view: store it without --views {views}.")
