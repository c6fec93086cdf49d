"""A network compiled by PyTorch, however deep it is and however many were compiled before it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

DEEP = 10_000  # calls within calls: PyTorch writes a sum of all statistics, 3,000 terms for 1,001 layers


def compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return what computes as a network does, compiled when it is first called.

    What was compiled before is forgotten: at the ninth network PyTorch would go on without compiling, unsaid.
    """
    torch.compiler.reset()
    forward = torch.compile(network, dynamic=False)

    def computed(x: Tensor) -> Tensor:
        with _deep():
            found: Tensor = forward(x)
        return found

    return computed


@contextlib.contextmanager
def _deep() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEEP))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
