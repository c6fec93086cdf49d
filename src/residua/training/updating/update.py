"""One update: forward, backward, check, step; nothing of it stays where it would spoil the network."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from residua.data.augmentation import mix
from residua.data.loading.loader import Batch
from residua.errors import UserError, out_of_memory
from residua.nets.devices import in_precision
from residua.nets.modules import StochasticDepth
from residua.training.settings import Settings
from residua.training.updating.compiling import compiled
from residua.training.updating.losses import cross_entropy
from residua.training.updating.optimizer import set_rate
from residua.training.updating.schedule import rate
from residua.training.updating.state import State
from residua.training.updating.statistics import Statistics

EXPLODED = 100  # times the loss of guessing
HUGE = 1e15  # a norm whose square optimizers could not keep for long


class DivergedError(UserError):
    """A loss or gradient that is no longer a number that training can use."""

    def __init__(self, step: int, loss: float, norms: tuple[float, float], places: Sequence[int]) -> None:
        gradients, statistics = norms
        super().__init__(
            f"step {step + 1} has a loss of {loss:.4g}, gradients of norm {gradients:.4g} and statistics of "
            f"norm {statistics:.4g}."
        )
        self.places = places


class TooLargeError(UserError):
    """A batch for which there is not enough memory."""

    def __init__(self, batch: int) -> None:
        super().__init__(
            f"there is not enough memory for an update with {batch:,} pictures: choose a smaller --batch, "
            "--checkpointing, or parts with --set accumulate=4."
        )


class Updater:
    """Makes updates of a state, as its settings say."""

    def __init__(self, state: State, settings: Settings, class_weights: Tensor | None = None) -> None:
        self.state, self.settings, self.recipe = state, settings, settings.recipe
        self.class_weights, self.classes = class_weights, settings.spec.num_classes
        heaviest = 1.0 if class_weights is None else max(1.0, float(class_weights.max()))
        self.most = EXPLODED * math.log(self.classes + 1) * heaviest  # a batch may be of one class alone
        self.statistics = Statistics(state.network)
        self.random = any(isinstance(m, (nn.Dropout, StochasticDepth)) for m in state.network.modules())
        self.forward: Callable[[Tensor], Tensor] = state.network
        if settings.compiled:
            self.forward = compiled(state.network)

    def __call__(self, batch: Batch, epoch: int) -> float:
        """Update with a batch, and return its loss; `DivergedError` leaves all as it was."""
        with _enough_memory(len(batch)):
            return self._update(batch, epoch)

    def _update(self, batch: Batch, epoch: int) -> float:
        state, recipe, step = self.state, self.recipe, self.state.counts.step
        self.statistics.remember()
        set_rate(state.optimizer, rate(recipe, step, self.settings.steps, state.counts.scores))
        state.optimizer.zero_grad()
        inputs, targets = self._mixed(batch, epoch)
        losses = []
        parts = zip(*(each.tensor_split(recipe.accumulate) for each in (inputs, targets)), strict=True)
        for part, (x, y) in enumerate(parts):
            with self._chance(part):
                with in_precision(self.settings.precision, self.settings.device):
                    logits = self.forward(x)
                loss = cross_entropy(logits, y, recipe.label_smoothing, self.class_weights)
                loss = loss * (len(x) / len(inputs))
                torch.autograd.backward(loss)
            losses.append(loss.detach())
        # The only time that an update waits for the device.
        found = torch.stack([*losses, self._gradient_norm(), self.statistics.norm()]).tolist()
        total, norms = float(sum(found[:-2])), (found[-2], found[-1])
        # What is no number is below no bound.
        if not (total < self.most and all(norm < HUGE for norm in norms)):
            self.statistics.put_back()
            state.optimizer.zero_grad()
            raise DivergedError(step, total, norms, batch.places.tolist())
        state.optimizer.step()
        if state.average:
            state.average.update(state.network, step)
        return total

    def _mixed(self, batch: Batch, epoch: int) -> tuple[Tensor, Tensor]:
        """Return what goes into the network and what should come out."""
        inputs = batch.inputs()
        if not self.recipe.augmentation.mixes:
            return inputs, batch.labels
        shares = F.one_hot(batch.labels, self.classes).float()
        return mix(inputs, shares, batch.samples, self.recipe.augmentation, self.settings.seed, epoch)

    def _gradient_norm(self) -> Tensor:
        """Return the norm of all gradients, and clip them if the recipe says so."""
        gradients = [p.grad for p in self.state.network.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if self.recipe.clip:
            nn.utils.clip_grads_with_norm_(self.state.network.parameters(), self.recipe.clip, norm)
        return norm

    @contextmanager
    def _chance(self, part: int) -> Iterator[None]:
        """Make dropout a function of seed and step; whoever else draws is not disturbed."""
        if not self.random:
            yield
            return
        purpose = f"{self.settings.seed} {self.state.counts.step} {part}"
        seed = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=7).digest(), "little")
        on_cpu = self.settings.device == "cpu"
        begin = torch.default_generator.manual_seed if on_cpu else torch.manual_seed
        with torch.random.fork_rng(() if on_cpu else None):  # no generator is seeded that is not kept
            begin(seed)
            yield


@contextmanager
def _enough_memory(batch: int) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise TooLargeError(batch) from None
