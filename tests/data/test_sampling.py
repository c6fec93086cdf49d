"""Balanced epochs: every class as often, every picture in its turn."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from residua.data.augmentation import AUGMENTATIONS
from residua.data.dataset import Data
from residua.data.loading.loader import Loader
from residua.data.loading.sampling import balanced, place_of
from residua.data.pictures import Arrays
from residua.weights.metadata import Preprocessing

RULE = Preprocessing(size=16, resize=16)
LABELS = st.lists(st.integers(0, 4), max_size=60)


def drawn(labels: list[int], epoch: int, seed: int = 0) -> torch.Tensor:
    places = torch.arange(len(labels)) * 3 + 1
    return balanced(seed, epoch, places, torch.tensor(labels, dtype=torch.int64))


@given(LABELS, st.integers(0, 50))
def test_every_class_comes_as_often(labels: list[int], epoch: int) -> None:
    places = (place_of(drawn(labels, epoch)) - 1) // 3
    share = len(labels) // max(1, len(set(labels)))
    assert Counter(labels[place] for place in places.tolist()) == dict.fromkeys(labels, share)


@given(LABELS, st.integers(0, 9))
def test_a_class_goes_round_its_pictures(labels: list[int], seed: int) -> None:
    places = torch.cat([place_of(drawn(labels, epoch, seed)) for epoch in range(7)])
    counts = Counter({place * 3 + 1: 0 for place in range(len(labels))})
    counts.update(places.tolist())
    for label in set(labels):
        often = [counts[place * 3 + 1] for place, each in enumerate(labels) if each == label]
        assert max(often) - min(often) <= 1


@given(LABELS)
def test_no_sample_comes_twice(labels: list[int]) -> None:
    samples = torch.cat([drawn(labels, epoch) for epoch in range(4)]).tolist()
    assert len(set(samples)) == len(samples)


def test_seed_and_epoch_decide() -> None:
    labels = [0] * 30 + [1] * 5
    assert torch.equal(drawn(labels, 3), drawn(labels, 3))
    assert not torch.equal(place_of(drawn(labels, 3)), place_of(drawn(labels, 4)))
    assert not torch.equal(place_of(drawn(labels, 3)), place_of(drawn(labels, 3, seed=1)))


@pytest.mark.parametrize("square", [True, False], ids=["gathered", "read"])
def test_a_loader_balances_classes_and_augments_every_turn(square: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (21, 16, 16 if square else 20, 3), np.uint8)
    labels = np.array([0] * 19 + [1, 1], np.int32)
    data = Data(
        where="photos",
        kind="folder",
        classes=("a", "b"),
        names=[str(place) for place in range(21)],
        labels=labels,
        parts=np.zeros(21, np.int8),
        pictures=Arrays(pixels),
    )
    photo = AUGMENTATIONS["photo"]
    loader = Loader(data, np.arange(21), RULE, 5, seed=4, balanced=True, augmentation=photo, workers=0)
    batches = list(loader.epoch(1))
    assert [len(batch) for batch in batches] == [5, 5, 5, 5] and len(loader) == 4
    assert all(batch.labels.tolist() == labels[batch.places.numpy()].tolist() for batch in batches)
    assert torch.cat([batch.labels for batch in batches]).bincount().tolist() == [10, 10]
    rare = torch.cat([batch.pixels[batch.places == 20] for batch in batches])
    assert len(rare) == 5 and len({square.numpy().tobytes() for square in rare.contiguous()}) == 5
    for start in range(5):
        rest = list(loader.epoch(1, start))
        assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(rest, batches[start:], strict=True))
