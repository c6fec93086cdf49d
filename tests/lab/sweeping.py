"""Experiments so small that a test can run them, on digits in a packed file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import residua
from residua.data.sources.digits import open_digits
from residua.lab.experiment import Experiment

TINY: dict[str, Any] = {"network": "cifar_resnet8", "widths": [4, 4, 8], "stem_width": 4}


def packed_digits(folder: Path, count: int = 300) -> Path:
    """So many of the digits, in one file."""
    path = folder / "digits.safetensors"
    if not path.exists():
        residua.pack(open_digits().keep(np.arange(count)), path)
    return path


def experiment(**changes: Any) -> Experiment:
    """Two networks, two seeds, one pass: four trainings of a second each."""
    given: dict[str, Any] = {
        "name": "mine",
        "title": "Mine",
        "networks": {"a": TINY, "b": {**TINY, "shortcut": "scaling"}},
        "scales": {"quick": {"epochs": 1, "changes": {"batch": 32}}},
        "claims": [{"id": "a-below-b", "says": "a is better.", "less": "a", "than": "b"}],
    }
    return Experiment(**given | changes)
