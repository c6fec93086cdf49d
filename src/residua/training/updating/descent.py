"""Gradient descent with momentum, as `torch.optim.SGD` does it, to the bit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.sgd import sgd


class Descent:
    """SGD in groups of parameters.

    PyTorch's own class loads the compiler with its first use, whatever is compiled: 70 MB, and seconds.
    """

    def __init__(self, groups: Sequence[Mapping[str, Any]]) -> None:
        self.param_groups = [dict(group) for group in groups]
        self.state: defaultdict[Tensor, dict[str, Tensor]] = defaultdict(dict)
        for group in self.param_groups:
            names, parameters = zip(*group["params"], strict=True)
            group |= {"params": list(parameters), "param_names": list(names)}

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update all parameters that have a gradient, once."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            moving: list[Tensor | None] = [None] * len(parameters)
            if group["momentum"]:
                moving = [self._moving(parameter) for parameter in parameters]
            sgd(
                parameters,
                [parameter.grad for parameter in parameters],
                moving,
                fused=True,
                lr=group["lr"],
                momentum=group["momentum"],
                nesterov=group["nesterov"],
                weight_decay=group["weight_decay"],
                dampening=0,
                maximize=False,
            )

    def _moving(self, parameter: Tensor) -> Tensor:
        """Return a parameter's moving sum of gradients."""
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        return state["momentum_buffer"]
