"""The state of a training: all that a checkpoint holds, and nothing that can be derived."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

from residua.errors import UserError
from residua.nets.network import Network, Vgg
from residua.training.keeping.checkpoint import Found, expect, read
from residua.training.recipes import Recipe
from residua.training.updating.averaging import Average
from residua.training.updating.optimizer import build_optimizer, load_state, state_tensors


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
    in_a_row: int = 0  # of these, since the last that was made
    metrics_bytes: int = 0  # length of metrics.jsonl

    def add(self, loss: float, pictures: int) -> None:
        """Count an update that was made."""
        self.loss += loss * pictures
        self.pictures += pictures
        self.in_a_row = 0

    def end_pass(self, score: float) -> None:
        """Count a pass that was judged."""
        self.scores.append(score)
        self.loss, self.pictures = 0.0, 0


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

    def networks(self) -> dict[str, Tensor]:
        """Return the tensors of the network and of its average by name."""
        networks = {"network": self.network} | ({"average": self.average.network} if self.average else {})
        return {
            f"{part}.{name}": value
            for part, net in networks.items()
            for name, value in net.state_dict().items()
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name."""
        optimizer = state_tensors(self.optimizer, self.network)
        return self.networks() | {f"optimizer.{name}": value for name, value in optimizer.items()}

    def facts(self) -> dict[str, Any]:
        """Return what is no tensor."""
        return asdict(self.counts)

    def restore(self, found: Found) -> None:
        """Become what a checkpoint holds; one of other settings is an error."""
        tensors = read(found.path)
        networks = {name: value for name, value in tensors.items() if not name.startswith("optimizer.")}
        optimizer = _part(tensors, "optimizer")
        expect(found.path, networks, self.networks())
        expect(found.path, optimizer, self._known(optimizer))
        self.network.load_state_dict(_part(tensors, "network"))
        load_state(self.optimizer, self.network, optimizer)
        if self.average:
            self.average.network.load_state_dict(_part(tensors, "average"))
        if found.facts.keys() != self.facts().keys():
            raise UserError(f"{found.path} was written by another version of Residua: go on with that.")
        self.counts = Counts(**found.facts)

    def _known(self, found: Iterable[str]) -> dict[str, Tensor]:
        """Return tensors like those that the optimizer has of parameters of which some were found."""
        moments = ("exp_avg", "exp_avg_sq") if isinstance(self.optimizer, AdamW) else ("momentum_buffer",)
        updated = {name.rpartition(".")[0] for name in found}
        known: dict[str, Tensor] = {}
        for name, parameter in self.network.named_parameters():
            if name in updated:
                known |= {f"{name}.{moment}": parameter for moment in moments}
                known |= {f"{name}.step": torch.zeros(())} if len(moments) > 1 else {}
        return known

    def is_finite(self) -> bool:
        """Whether every number is one that training can go on with."""
        flags: defaultdict[torch.device, list[Tensor]] = defaultdict(list)
        for tensor in self.tensors().values():
            flags[tensor.device].append(tensor.isfinite().all())
        return all(bool(torch.stack(each).all()) for each in flags.values())  # a GPU is waited for once


def _part(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}."): t for name, t in tensors.items() if name.startswith(f"{part}.")}
