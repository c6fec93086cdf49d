"""From a recipe to an optimizer: which parameters decay, how fast each learns, and its state by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from residua.nets.network import Network, Vgg
from residua.training.recipes import Recipe
from residua.training.updating.descent import Descent
from residua.training.updating.muon import Muon

Optimizer = Descent | torch.optim.Optimizer
Named = list[tuple[str, nn.Parameter]]
WEIGHTED = (nn.modules.conv._ConvNd, nn.Linear)


class Kind(NamedTuple):
    """What the updates of parameters differ in."""

    decays: bool
    matrices: int  # that each is made of, a convolution's groups; 0 where updates are not orthogonal
    level: int  # stages behind it


def build_optimizer(network: Network | Vgg, recipe: Recipe) -> Optimizer:
    """Build the recipe's optimizer; parameters of one kind and depth are one group of it."""
    groups = [_group(recipe, named, kind) for kind, named in _sorted(network, recipe).items()]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)
    return Muon(groups) if recipe.optimizer == "muon" else Descent(groups)


def set_rate(optimizer: Optimizer, factor: float) -> None:
    """Let every group learn at this share of its own full rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["full_rate"] * factor


def _sorted(network: Network | Vgg, recipe: Recipe) -> dict[Kind, Named]:
    """Sort parameters by what their updates differ in."""
    found: dict[Kind, Named] = {}
    behind = stages_behind(network)
    for name, module, parameter in _parameters(network):
        weight = isinstance(module, WEIGHTED) and parameter.ndim > 1
        matrices = _matrices(module) if recipe.optimizer == "muon" and parameter.ndim == 4 else 0
        decays = matrices > 0 if recipe.decayed is None else weight or recipe.decayed == "all"
        level = _level(name, behind) if recipe.layer_decay < 1 else 0
        found.setdefault(Kind(decays, matrices, level), []).append((name, parameter))
    return found


def _matrices(module: nn.Module) -> int:
    return module.groups if isinstance(module, nn.Conv2d) else 1


def _group(recipe: Recipe, named: Named, kind: Kind) -> dict[str, Any]:
    base = recipe.vector_rate if recipe.vector_rate and not kind.matrices else recipe.learning_rate
    rate = base * recipe.layer_decay**kind.level
    group: dict[str, Any] = {"params": named, "lr": rate, "full_rate": rate}
    group["weight_decay"] = recipe.weight_decay if kind.decays else 0.0
    if recipe.optimizer == "adamw":
        return group
    if kind.matrices:  # an orthogonal update has its momentum in it already, and is a gradient to SGD
        group |= {"inertia": recipe.momentum, "lookahead": recipe.nesterov, "matrices": kind.matrices}
        return group | {"momentum": 0.0, "nesterov": False}
    return group | {"momentum": recipe.momentum, "nesterov": recipe.nesterov}


def _parameters(network: nn.Module) -> Iterator[tuple[str, nn.Module, nn.Parameter]]:
    """Walk parameters with their names and the modules that own them."""
    for path, module in network.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            yield f"{path}.{name}" if path else name, module, parameter


def stages_behind(network: Network | Vgg) -> dict[str, int]:
    """Return for each layer how many stages lie behind it, of which the head is one."""
    stages = len(network.plan.stages)
    behind: dict[str, int] = {}
    for group in network.plan.groups:
        level = {"stem": len(network.plan.stages) + 1, "stage": stages, "head": 0}[group.role]
        stages -= group.role == "stage"
        for name, block in group.blocks:
            prefix = f"{name}." if name else ""
            behind |= {f"{prefix}{step}": level for step, _ in block.steps()}
    return behind


def _level(name: str, behind: Mapping[str, int]) -> int:
    """Look up a parameter by the layer that it, or the module around it, belongs to."""
    while name not in behind:
        name = name.rpartition(".")[0]
    return behind[name]


def state_tensors(optimizer: Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """Return the optimizer's state as tensors named after the parameters they belong to."""
    return {
        f"{name}.{key}": value
        for name, parameter in network.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def load_state(optimizer: Optimizer, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give the optimizer the state that `state_tensors` returned, and no other."""
    parameters = dict(network.named_parameters())
    optimizer.state.clear()
    for full, value in tensors.items():
        name, _, key = full.rpartition(".")
        parameter = parameters[name]
        # Laid out in memory as the parameter is, which the optimizer's kernels rely on.
        like = parameter.detach() if value.shape == parameter.shape else value.to(parameter.device)
        optimizer.state[parameter][key] = torch.empty_like(like, dtype=value.dtype).copy_(value)
