"""Outcomes, pictures and models so small that a test can judge them many times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import residua
from residua.data.dataset import UNSPLIT, Data
from residua.data.pictures import Arrays
from residua.judging.figures.outcomes import Outcomes, empty_outcomes, fill
from residua.judging.model import Model
from residua.weights.metadata import ClassEntry, Metadata, Preprocessing

GRAY = Preprocessing(size=8, resize=8, channels="gray", mean=(0.3,), std=(0.4,))
TINY = {"units": (1, 1, 1), "widths": (4, 4, 4), "stem_width": 4, "input_size": 8}


def outcomes(
    logits: Tensor | Sequence[Sequence[float]],
    labels: Sequence[int] | NDArray[np.integer[Any]],
    *,
    temperature: float = 1.0,
    batch: int = 7,
) -> Outcomes:
    """What a network said that answers so, filled in as it comes."""
    every = torch.as_tensor(logits, dtype=torch.float32)
    names = [f"{place}.png" for place in range(len(every))]
    classes = tuple(f"class {place}" for place in range(every.shape[1]))
    found = empty_outcomes(classes, names, np.asarray(labels, np.int32))
    for start in range(0, len(every), batch):
        fill(found, start, every[start : start + batch], temperature)
    return found


def pictures(
    count: int, classes: Sequence[str] = "abc", side: int = 8, channels: int = 1, **changes: Any
) -> Data:
    """Pictures of noise, in classes by turns."""
    shape = (count, side, side, channels)
    known: dict[str, Any] = {
        "where": "noise",
        "kind": "packed",
        "classes": tuple(classes),
        "names": [f"{place}.png" for place in range(count)],
        "labels": np.arange(count, dtype=np.int32) % len(classes),
        "parts": np.full(count, UNSPLIT, np.int8),
        "pictures": Arrays(np.random.default_rng(0).integers(0, 256, shape, np.uint8)),
    }
    return Data(**known | changes)


def model(
    classes: Sequence[str] = "abc",
    rule: Preprocessing = GRAY,
    temperature: float | None = None,
    **fields: Any,
) -> Model:
    """A network that has learned nothing, but is sure of it."""
    torch.manual_seed(0)
    spec = residua.spec(
        "cifar_resnet20", num_classes=len(classes), in_channels=len(rule.mean), **TINY | fields
    )
    network = residua.create(spec).eval()
    with torch.no_grad():
        network.get_parameter("fc.weight").mul_(8)
    entries = tuple(ClassEntry(id=name, name=name) for name in classes)
    return Model(network, Metadata(spec=spec, classes=entries, preprocessing=rule, temperature=temperature))
