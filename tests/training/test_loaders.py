"""Loaders are made once, each for its pictures at their size."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from residua.data.loading import loader
from residua.data.loading.reading import gathered
from residua.training.pictures.loaders import Loaders
from training.tiny import digits, settings


def test_what_a_device_holds_is_brought_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[object] = []

    def counted(*given: Any) -> Any:
        tables.append(gathered(*given))
        return tables[-1]

    monkeypatch.setattr(loader, "gathered", counted)
    loaders = Loaders(digits(), settings())
    for epoch in range(2):
        assert list(loaders.judging.epoch(epoch)) and list(loaders.batches(epoch, 0))
    assert len(tables) == 2 and all(tables)


def test_pictures_grow_within_a_pass_and_are_full_at_its_end() -> None:
    loaders = Loaders(digits(), replace(settings(sizes=(0.5, 0.5, 1.0)), steps=4))
    batches = list(loaders.batches(0, 0))
    assert [batch.pixels.shape[2] for batch in batches] == [4, 4, 4, 8]
    for start in range(5):
        rest = list(loaders.batches(0, start))
        assert [batch.pixels.shape[2] for batch in rest] == [4, 4, 4, 8][start:]
        assert all(map(torch.equal, *([each.pixels for each in some] for some in (rest, batches[start:]))))
    assert torch.cat([batch.places for batch in batches]).sort().values.tolist() == list(range(64))


def test_judging_is_at_the_full_size() -> None:
    loaders = Loaders(digits(), settings(sizes=(0.5,)))
    batch = next(loaders.judging.epoch(0))
    assert batch.pixels.shape[2] == 8 and np.isin(batch.places, loaders.data.places("val")).all()
