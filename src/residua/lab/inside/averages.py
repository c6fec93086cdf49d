"""What batch normalization may predict with: averages over batches, exact or of a momentum."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from residua.errors import UserError
from residua.lab.inside.parts import fitted, undisturbed
from residua.nets.batchnorm import BATCH_NORMS


class Batch(NamedTuple):
    """What one norm got in one batch: its mean and biased variance by channel, and of how many values."""

    mean: Tensor
    variance: Tensor
    values: int


class Averages:
    """The statistics of every norm in every batch, while each batch was normalized by its own."""

    def __init__(self, network: nn.Module, batches: Iterable[Tensor]) -> None:
        """Show a network some batches; nothing of it changes."""
        self.network = network
        self.norms = _norms(network)
        self.batches: list[list[Batch]] = [[] for _ in self.norms]
        with by_batches(network), torch.inference_mode(), self._listening():
            for inputs in batches:
                network(fitted(network, inputs))
        if not all(self.batches):
            raise UserError("averages need at least one batch.")

    def exact(self) -> list[tuple[Tensor, Tensor]]:
        """Return each norm's mean and variance over all samples, as if they were one batch."""
        return [_together(batches) for batches in self.batches]

    def running(self, momentum: float) -> list[tuple[Tensor, Tensor]]:
        """Return running averages as they are after the last batch, whatever they began with forgotten."""
        found = []
        for batches in self.batches:
            shares = [(1 - momentum) ** age for age in reversed(range(len(batches)))]
            weights = torch.tensor(shares, dtype=torch.float64)
            variances = [each.variance * (each.values / max(1, each.values - 1)) for each in batches]
            found.append((_mean([each.mean for each in batches], weights), _mean(variances, weights)))
        return found

    @contextlib.contextmanager
    def used(self, averages: list[tuple[Tensor, Tensor]]) -> Iterator[None]:
        """Let the network predict with these for a while."""
        with undisturbed(self.network, training=False):
            for norm, (mean, variance) in zip(self.norms, averages, strict=True):
                _fill(norm.running_mean, mean)
                _fill(norm.running_var, variance)
            yield

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for norm, batches in zip(self.norms, self.batches, strict=True):

                def look(_: nn.Module, inputs: Any, batches: list[Batch] = batches) -> None:
                    values = inputs[0].double().transpose(0, 1).flatten(1)
                    variance, mean = torch.var_mean(values, dim=1, correction=0)
                    batches.append(Batch(mean, variance, values.shape[1]))

                stack.callback(norm.register_forward_pre_hook(look).remove)
            yield


@contextlib.contextmanager
def by_batches(network: nn.Module) -> Iterator[None]:
    """Let every batch be normalized by its own statistics for a while; nothing else is as in training."""
    with undisturbed(network, training=False):
        for norm in _norms(network):
            norm.train()
        yield


def _norms(network: nn.Module) -> list[Any]:
    return [module for module in network.modules() if isinstance(module, BATCH_NORMS)]


def _together(batches: list[Batch]) -> tuple[Tensor, Tensor]:
    """Return the mean and variance of all values: that within the batches, and between them."""
    weights = torch.tensor([each.values for each in batches], dtype=torch.float64)
    mean = _mean([each.mean for each in batches], weights)
    return mean, _mean([each.variance + (each.mean - mean).square() for each in batches], weights)


def _fill(buffer: Tensor | None, value: Tensor) -> None:
    if buffer is not None:  # of a norm that has no averages
        buffer.copy_(value)


def _mean(values: list[Tensor], weights: Tensor) -> Tensor:
    weights = (weights / weights.sum()).to(values[0].device)
    return torch.stack(values, dim=1) @ weights
