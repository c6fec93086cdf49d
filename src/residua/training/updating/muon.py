"""Muon: the updates of convolutions and other matrices made orthogonal, so that all directions learn alike.

After Keller Jordan's description. PyTorch's own takes one plain matrix at a time.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

from residua.nets.devices import multiplies_bf16
from residua.training.updating.descent import Descent

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # the quintic that brings singular values near 1 the fastest
ROUNDS = 5


class Muon(Descent):
    """SGD whose groups with an `inertia` get orthogonal updates of that momentum instead of their gradients.

    Each of its parameters is so many `matrices`, one below the other. To SGD such a group has momentum 0,
    which also decouples its weight decay. A step overwrites gradients.
    """

    def step(self) -> None:
        """Update all parameters once."""
        for group in self.param_groups:
            if "inertia" in group:
                self._orthogonalize(group)
        super().step()

    @torch.no_grad()
    def _orthogonalize(self, group: dict[str, Any]) -> None:
        momentum, alike = group["inertia"], defaultdict(list)
        for parameter in group["params"]:
            if parameter.grad is not None:
                alike[parameter.shape].append(parameter)
        for parameters in alike.values():
            grads = [parameter.grad for parameter in parameters]
            moving = [self._moving(parameter) for parameter in parameters]
            torch._foreach_lerp_(moving, grads, 1 - momentum)
            updates = torch._foreach_lerp(grads, moving, momentum) if group["lookahead"] else moving
            shape, count = parameters[0].shape, len(grads) * group["matrices"]
            stacked = torch.stack(list(updates)).reshape(count, shape[0] // group["matrices"], -1)
            torch._foreach_copy_(grads, list(orthogonal(stacked).reshape(len(grads), *shape)))


def orthogonal(matrices: Tensor) -> Tensor:
    """Bring all singular values of matrices (count, rows, columns) near 1, as Newton and Schulz iterate.

    Tall matrices are scaled up, so that what each adds to its outputs does not depend on its shape.
    """
    _, rows, columns = matrices.shape
    first, second, third = COEFFICIENTS
    half = multiplies_bf16(str(matrices.device))  # it need not be exact
    x = (matrices.mT if rows > columns else matrices).to(torch.bfloat16 if half else torch.float32)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=second, alpha=third), x, beta=first)
    scale: float = max(1.0, rows / columns) ** 0.5
    x = x.to(matrices.dtype) * scale
    return x.mT if rows > columns else x
