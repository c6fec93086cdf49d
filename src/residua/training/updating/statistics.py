"""The statistics that a forward pass moves, remembered so that an update can be taken back."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Statistics:
    """A network's buffers; those of one kind are copied at once."""

    def __init__(self, network: nn.Module) -> None:
        buffers = list(network.buffers())
        self.numbers = [buffer for buffer in buffers if buffer.is_floating_point()]
        counts = [buffer for buffer in buffers if not buffer.is_floating_point()]
        kinds = [kind for kind in (self.numbers, counts) if kind]  # without batch norms there are none
        self._kinds = [(kind, [torch.empty_like(buffer) for buffer in kind]) for kind in kinds]
        self._nothing = next(network.parameters()).new_zeros(())

    def remember(self) -> None:
        """Take down what they are."""
        for now, before in self._kinds:
            torch._foreach_copy_(before, now)

    def put_back(self) -> None:
        """Make them what they were."""
        for now, before in self._kinds:
            torch._foreach_copy_(now, before)

    def norm(self) -> Tensor:
        """Return their norm: it can overflow where the loss, being normalized, is well."""
        return nn.utils.get_total_norm(self.numbers) if self.numbers else self._nothing
