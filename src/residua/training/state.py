"""The state of a training: all that a checkpoint holds, and nothing that can be derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from residua.nets.network import Network, Vgg
from residua.training.averaging import Average
from residua.training.optimizer import build_optimizer, load_state, state_tensors
from residua.training.recipe import Recipe


@dataclass
class Counts:
    """What was counted so far; all of it survives in a checkpoint."""

    step: int = 0  # updates done
    best: float | None = None  # by the recipe's metric
    best_step: int = 0
    scores: list[float] = field(default_factory=list)  # the metric after each pass
    loss: float = 0.0  # summed over the pictures of this pass
    pictures: int = 0  # seen in this pass
    skipped: int = 0  # updates left out, as their loss was not finite
    metrics_bytes: int = 0  # length of metrics.jsonl


class State:
    """A network in training, with its optimizer, its average and what was counted."""

    def __init__(self, network: Network | Vgg, recipe: Recipe) -> None:
        self.network = network
        self.optimizer = build_optimizer(network, recipe)
        self.average = Average(network, recipe.average) if recipe.average else None
        self.counts = Counts()

    @property
    def judged(self) -> Network | Vgg:
        """The network that is judged and saved."""
        return self.average.network if self.average else self.network

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name."""
        parts = {
            "network": self.network.state_dict(),
            "optimizer": state_tensors(self.optimizer, self.network),
        }
        if self.average:
            parts["average"] = self.average.network.state_dict()
        return {f"{part}.{name}": value for part, found in parts.items() for name, value in found.items()}

    def facts(self) -> dict[str, Any]:
        """Return what is no tensor."""
        return asdict(self.counts)

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Become what a checkpoint held."""
        self.network.load_state_dict(_part(tensors, "network"))
        load_state(self.optimizer, self.network, _part(tensors, "optimizer"))
        if self.average:
            self.average.network.load_state_dict(_part(tensors, "average"))
        self.counts = Counts(**facts)

    def statistics(self) -> list[Tensor]:
        """Return the buffers that a forward pass moves."""
        return list(self.network.buffers())


def _part(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}."): t for name, t in tensors.items() if name.startswith(f"{part}.")}
