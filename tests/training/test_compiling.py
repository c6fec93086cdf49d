"""Networks are compiled however many there were before, and with room for deep ones."""

import functools
import itertools
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import residua
from residua.training.keeping.run import Run
from residua.training.updating.compiling import DEEP, compiled
from training.tiny import settings, training

MANY = 10  # PyTorch gives up at the ninth


def test_a_training_computes_with_what_was_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[int] = []

    def counting(module: torch.fx.GraphModule, _inputs: object) -> Callable[..., Any]:
        def forward(*inputs: Any) -> Any:
            calls.append(1)
            return module.forward(*inputs)

        return forward

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=counting))
    with Run.create_at(tmp_path / "run") as run:
        work = training(run, replace(settings(), compiled=True))
    for batch in itertools.islice(work.loaders.training(0).epoch(0), 3):
        work.update(batch, 0)
        work.counts.step += 1
    assert len(calls) == 3


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
