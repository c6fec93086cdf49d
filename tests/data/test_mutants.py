"""Whatever is wrong with a picture, it is one bad picture, and the next one is read as ever."""

import numpy as np

from residua.data.decoding import decode

from .mutants import mutants, outcome, seeds


def test_500_mutants_give_pixels_or_one_reason() -> None:
    before = [decode(data, "seed") for data in seeds()]
    found = [outcome(data) for data in mutants(500)]
    after = [decode(data, "seed") for data in seeds()]
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
    assert 50 < found.count("good") < 300 and len(set(found)) > 4


def test_mutants_are_the_same_for_a_seed() -> None:
    assert list(mutants(20)) == list(mutants(20)) != list(mutants(20, seed=1))
