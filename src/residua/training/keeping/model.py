"""A training's network as a model file, which says what it learned from, how, and how well it does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from residua import __version__
from residua.data.dataset import Data
from residua.nets.network import Network, Vgg
from residua.training.settings import Settings
from residua.weights.metadata import Accuracy, ClassEntry, Metadata, Provenance
from residua.weights.modelfile import write_model


def write_network(
    path: Path,
    network: Network | Vgg,
    settings: Settings,
    data: Data,
    judged: Mapping[str, Any] | None = None,
) -> None:
    """Write a network that was trained on these pictures; `judged` is the line of metrics with its scores."""
    accuracy = judged and Accuracy(
        top1=judged["val_top1"],
        top5=judged["val_top5"],
        data=f"val of {data.where}",
        measured_by="residua train",
    )
    metadata = Metadata(
        spec=settings.spec,
        classes=tuple(ClassEntry(id=each, name=each) for each in data.classes),
        preprocessing=settings.preprocessing,
        provenance=Provenance(
            source=settings.weights, recipe=settings.recipe.name, software=f"residua {__version__}"
        ),
        accuracy=accuracy or None,
    )
    write_model(path, network.state_dict(), metadata)
