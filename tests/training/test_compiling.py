"""Networks are compiled however many there were before, and with room for deep ones."""

import functools
import sys

import pytest
import torch

import residua
from residua.training.updating.compiling import DEEP, compiled

MANY = 10  # PyTorch gives up at the ninth


def test_every_network_is_compiled_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []

    def counted(module: torch.fx.GraphModule, _inputs: object) -> object:
        limits.append(sys.getrecursionlimit())
        return module.forward

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=counted))
    before = sys.getrecursionlimit()
    for n in range(MANY):
        network = residua.create("cifar_resnet8", widths=(4 + n, 8 + n, 16 + n), stem_width=4 + n).eval()
        x = torch.randn(2, 3, 32, 32)
        with torch.no_grad():
            torch.testing.assert_close(compiled(network)(x), network(x))
    assert limits == [max(before, DEEP)] * MANY and sys.getrecursionlimit() == before
