"""A moving average of a network's weights and statistics, which is often better than the network itself."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from residua.nets.network import Network, Vgg


class Average:
    """A second network that holds the averages; its tensors are all the state there is."""

    def __init__(self, network: Network | Vgg, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(network).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, network: Network | Vgg, step: int) -> None:
        """Take in the network after an update, of which `step` went before.

        The first updates count for more, as an average from the random start is worth little.
        """
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        pairs = list(zip(_tensors(self.network), _tensors(network), strict=True))
        numbers = [pair for pair in pairs if pair[0].is_floating_point()]
        counts = [pair for pair in pairs if not pair[0].is_floating_point()]
        torch._foreach_lerp_([own for own, _ in numbers], [new for _, new in numbers], share)
        if counts:
            torch._foreach_copy_([own for own, _ in counts], [new for _, new in counts])


def _tensors(network: Network | Vgg) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
