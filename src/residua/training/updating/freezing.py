"""Which parts of a network learn, and which statistics move, in a pass of fine-tuning."""

from __future__ import annotations

from torch import nn

from residua.nets.batchnorm import BATCH_NORMS
from residua.nets.network import Network, Vgg
from residua.training.recipes import Recipe


def classifier(network: Network | Vgg) -> nn.Linear:
    """Return the layer that decides between the classes."""
    return [module for module in network.modules() if isinstance(module, nn.Linear)][-1]


def prepare(network: Network | Vgg, recipe: Recipe, epoch: int) -> None:
    """Make a network ready to train in an epoch: frozen are weights and statistics alike."""
    frozen = epoch < recipe.freeze
    network.train().requires_grad_(not frozen)
    classifier(network).requires_grad_(True)
    if frozen or recipe.norms == "frozen":
        for module in network.modules():
            if isinstance(module, BATCH_NORMS):
                module.eval()
