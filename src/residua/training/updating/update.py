"""One update: forward, backward, step; nothing of it stays where the loss is not finite."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from residua.data.augmentation import mix
from residua.data.loading.loader import Batch
from residua.errors import UserError
from residua.nets.devices import in_precision
from residua.nets.modules import StochasticDepth
from residua.training.settings import Settings
from residua.training.updating.losses import cross_entropy
from residua.training.updating.optimizer import set_rate
from residua.training.updating.schedule import rate
from residua.training.updating.state import State

EXPLODED = 100  # times the loss of guessing
HUGE = 1e15  # a norm whose square optimizers could not keep for long


class DivergedError(UserError):
    """A loss or gradient that is no longer a number that training can use."""

    def __init__(self, step: int, loss: float, norms: tuple[float, float], places: Sequence[int]) -> None:
        gradients, statistics = norms
        super().__init__(
            f"step {step} has a loss of {loss:.4g}, gradients of norm {gradients:.4g} and statistics of norm "
            f"{statistics:.4g}."
        )
        self.step, self.places = step, places


class Updater:
    """Makes updates of a state, as its settings say."""

    def __init__(self, state: State, settings: Settings, weights: Tensor | None = None) -> None:
        self.state, self.settings, self.recipe = state, settings, settings.recipe
        self.weights = weights
        self.classes = settings.spec.num_classes
        self.statistics = state.statistics()
        self.random = any(isinstance(m, (nn.Dropout, StochasticDepth)) for m in state.network.modules())
        self.forward: Callable[[Tensor], Tensor] = state.network
        if settings.compiled:
            self.forward = torch.compile(state.network, dynamic=False)

    def __call__(self, batch: Batch, epoch: int) -> float:
        """Update with a batch, and return its loss; `DivergedError` leaves all as it was."""
        state, step = self.state, self.state.counts.step
        before = [buffer.clone() for buffer in self.statistics]
        set_rate(state.optimizer, rate(self.recipe, step, self.settings.steps, state.counts.scores))
        state.optimizer.zero_grad()
        loss = self._gradients(batch, epoch)
        norms = self._gradient_norm(), self._statistics_norm()
        # What is no number is below no bound.
        if not (loss < EXPLODED * math.log(self.classes + 1) and all(norm < HUGE for norm in norms)):
            if before:  # without batch norms there is nothing to put back
                torch._foreach_copy_(self.statistics, before)
            state.optimizer.zero_grad()
            raise DivergedError(step, loss, norms, batch.places.tolist())
        state.optimizer.step()
        if state.average:
            state.average.update(state.network, step)
        return loss

    def _gradients(self, batch: Batch, epoch: int) -> float:
        """Compute the gradients of a batch, in as many parts as the recipe says."""
        inputs, targets = self._inputs(batch, epoch)
        parts = zip(inputs.chunk(self.recipe.accumulate), targets.chunk(self.recipe.accumulate), strict=True)
        total = 0.0
        for part, (x, y) in enumerate(parts):
            with self._seeded(part):
                with in_precision(self.settings.precision, self.settings.device):
                    logits = self.forward(x)
                loss = cross_entropy(logits, y, self.recipe.label_smoothing, self.weights)
                loss = loss * (len(x) / len(inputs))
                torch.autograd.backward(loss)
            total += loss.item()
        return total

    def _inputs(self, batch: Batch, epoch: int) -> tuple[Tensor, Tensor]:
        inputs = batch.inputs()
        if not self.recipe.augmentation.mixes:
            return inputs, batch.labels
        shares = F.one_hot(batch.labels, self.classes).float()
        return mix(inputs, shares, batch.samples, self.recipe.augmentation, self.settings.seed, epoch)

    def _gradient_norm(self) -> float:
        gradients = [p.grad for p in self.state.network.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if self.recipe.clip:
            nn.utils.clip_grads_with_norm_(self.state.network.parameters(), self.recipe.clip, norm)
        return float(norm)

    def _statistics_norm(self) -> float:
        """Norm of what the forward pass moved: it can overflow where the loss, being normalized, is well."""
        moved = [buffer for buffer in self.statistics if buffer.is_floating_point()]
        return float(nn.utils.get_total_norm(moved)) if moved else 0.0

    def _seeded(self, part: int) -> AbstractContextManager[None]:
        """Make dropout a function of seed and step."""
        if not self.random:
            return nullcontext()
        return _seeded(f"{self.settings.seed} {self.state.counts.step} {part}", self.settings.device)


@contextmanager
def _seeded(purpose: str, device: str) -> Iterator[None]:
    """Seed PyTorch's generators for a while; afterwards they are as they were."""
    seed = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=7).digest(), "little")
    with torch.random.fork_rng(() if device == "cpu" else None):
        torch.manual_seed(seed)
        yield
