"""Splits: disjoint, complete, alike in classes, the same for any order of listing, groups whole."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from residua.data.dataset import PARTS, UNSPLIT, Data
from residua.data.pictures import Arrays
from residua.data.splitting import apply_split, split, write_split
from residua.errors import UserError


def made(labels: Sequence[int], groups: Sequence[str] | None = None, names: Sequence[str] = ()) -> Data:
    count = len(labels)
    return Data(
        where="made",
        kind="folder",
        classes=tuple("abcdefgh"),
        names=list(names) or [f"{place}.jpg" for place in range(count)],
        labels=np.array(labels, np.int32),
        parts=np.full(count, UNSPLIT, np.int8),
        pictures=Arrays(np.zeros((count, 1, 1, 1), np.uint8)),
        groups=groups,
    )


def counts(data: Data, part: str) -> Counter[int]:
    return Counter(data.labels[data.places(part)].tolist())


def chosen(data: Data) -> dict[str, str]:
    return {name: PARTS[part] for name, part in zip(data.names, data.parts, strict=True)}


many_labels = st.lists(st.integers(0, 7), max_size=80)
shares = st.tuples(st.floats(0, 0.25), st.floats(0, 0.25))


@given(many_labels, shares, st.integers())
def test_every_class_gives_its_share(labels: list[int], share: tuple[float, float], seed: int) -> None:
    data = split(made(labels), val=share[0], test=share[1], seed=seed)
    every = Counter(labels)
    assert sum((counts(data, part) for part in PARTS), Counter()) == every
    for label, count in every.items():
        assert counts(data, "train")[label] >= 1
        for part, wanted in zip(("val", "test"), share, strict=True):
            assert abs(counts(data, part)[label] - wanted * count) <= 1
        if share[0] and count > 1:
            assert counts(data, "val")[label] >= 1
        if not share[0]:
            assert not counts(data, "val")


@st.composite
def grouped(draw: st.DrawFn) -> tuple[Data, list[list[str]]]:
    labels = draw(many_labels)
    groups = [draw(st.sampled_from(["", "", "x", "y", "z", "w"])) for _ in labels]
    data = made(labels, groups)
    tied = draw(st.lists(st.lists(st.sampled_from([*data.names, "gone.jpg"]), max_size=4), max_size=4))
    return data, tied


@given(grouped(), st.floats(0.01, 0.5), st.integers(0, 9), st.randoms(use_true_random=False))
def test_groups_stay_whole_and_the_order_of_listing_changes_nothing(
    given_data: tuple[Data, list[list[str]]], val: float, seed: int, random: Random
) -> None:
    data, tied = given_data
    found = split(data, val=val, test=0.1, seed=seed, tied=tied)
    parts = chosen(found)
    for group in set(data.groups or ()) - {""}:
        own = {parts[name] for name, of in zip(data.names, data.groups or (), strict=True) if of == group}
        assert len(own) == 1
    for names in tied:
        assert len({parts[name] for name in names if name in parts}) <= 1
    assert counts(found, "train").keys() == set(data.labels.tolist())
    order = list(range(len(data)))
    random.shuffle(order)
    assert (
        chosen(split(data.keep(np.array(order, np.int64)), val=val, test=0.1, seed=seed, tied=tied[::-1]))
        == parts
    )


def test_groups_are_as_even_as_they_can_be() -> None:
    labels = [0] * 100 + [1] * 100
    groups = [f"{place // 5}" for place in range(200)]
    found = split(made(labels, groups), val=0.2)
    assert counts(found, "val") == {0: 20, 1: 20}


def test_a_class_of_large_groups_gives_the_smallest_that_it_can() -> None:
    labels = [0] * 20 + [1] * 30
    groups = ["g"] * 12 + ["h"] * 8 + [""] * 30
    found = split(made(labels, groups), val=0.1)
    assert counts(found, "val") == {0: 8, 1: 3}


def test_a_group_taken_for_one_class_does_for_the_other() -> None:
    labels = [0, 0, 1, 1] + [1, 1] + [0] * 10 + [1] * 10
    groups = ["both"] * 4 + ["other"] * 2 + ["large 0"] * 10 + ["large 1"] * 10
    assert counts(split(made(labels, groups), val=0.1), "val") == {0: 2, 1: 2}


def test_a_group_over_two_classes_stays_whole() -> None:
    labels = [0, 1] * 20
    groups = [f"{place // 2}" for place in range(40)]
    assert counts(split(made(labels, groups), val=0.25), "val") == {0: 5, 1: 5}


def test_a_class_that_is_one_group_stays_in_training() -> None:
    found = split(made([0] * 10 + [1] * 10, ["g"] * 10 + [""] * 10), val=0.2)
    assert counts(found, "val") == {1: 2}


def test_seeds_differ_and_new_pictures_change_little() -> None:
    names = [f"{place}.jpg" for place in range(1000)]
    before = chosen(split(made([0] * 1000, names=names), val=0.1))
    assert before != chosen(split(made([0] * 1000, names=names), val=0.1, seed=1))
    after = chosen(
        split(made([0] * 1010, names=[*names, *(f"new{place}.jpg" for place in range(10))]), val=0.1)
    )
    assert sum(before[name] != after[name] for name in names) <= 10


def test_the_split_is_the_same_on_every_machine_and_version() -> None:
    found = split(made([0] * 12, names=[f"{place}\udcff.jpg" for place in range(12)]), val=0.25, seed=3)
    assert found.places("val").tolist() == [4, 10, 11]


def test_parts_that_are_there_are_kept() -> None:
    data = made([0] * 20)
    parted = replace(data, parts=np.array([0] * 10 + [1] * 5 + [2] * 5, np.int8))
    assert chosen(split(parted, val=0.2, test=0.2)) == chosen(parted)
    without_val = replace(data, parts=np.array([0] * 15 + [2] * 5, np.int8))
    found = split(without_val, val=0.2)
    assert len(found.places("val")) == 3
    assert found.places("test").tolist() == [15, 16, 17, 18, 19]
    only_test = replace(data, parts=np.full(20, 2, np.int8))
    assert chosen(split(only_test)) == chosen(only_test)


@pytest.mark.parametrize(
    ("val", "test"), [(1.0, 0.0), (-0.1, 0.0), (0.5, 0.5), (float("nan"), 0.0), (0.1, -1)]
)
def test_shares_that_are_none_are_refused(val: float, test: float) -> None:
    with pytest.raises(UserError, match="not valid"):
        split(made([0, 1]), val=val, test=test)


ODD = ["\udcff.jpg", "a\nb.jpg", "=cmd.jpg", "-1.jpg", "<script>.jpg", "x" * 255, "'=1", "\t.jpg"]


@pytest.mark.parametrize("groups", [None, ["", "g", "=g", "", "", "\udcff", "", ""]])
def test_a_written_split_is_the_same_when_read(tmp_path: Path, groups: list[str] | None) -> None:
    data = made([0, 1] * 4, groups, ODD)
    found = split(data, val=0.25, test=0.25)
    write_split(tmp_path / "split.csv", found)
    again = apply_split(data, tmp_path / "split.csv")
    assert chosen(again) == chosen(found)
    assert again.groups == groups
    assert chosen(apply_split(data.keep(np.arange(8)[::-1]), tmp_path / "split.csv")) == chosen(found)


def test_a_split_of_other_pictures_is_refused(tmp_path: Path) -> None:
    data = split(made([0, 0, 1, 1]))
    path = tmp_path / "split.csv"
    write_split(path, data)
    with pytest.raises(UserError, match=r"row 2 of .* names '0\.jpg', which 'made' does not have"):
        apply_split(data.keep(np.array([1, 2, 3])), path)
    with pytest.raises(UserError, match=r"lacks 1 pictures, the first is 'new\.jpg'"):
        apply_split(made([0, 0, 1, 1, 1], names=[*data.names, "new.jpg"]), path)
    with pytest.raises(UserError, match=r"gives '0\.jpg' the label 'a', not 'b'"):
        apply_split(made([1, 0, 1, 1]), path)
    text = path.read_text()
    for old, new, fault in (("1.jpg", "0.jpg", "a second time"), ("train", "tain", "it must be train")):
        path.write_text(text.replace(old, new))
        with pytest.raises(UserError, match=fault):
            apply_split(data, path)
    write_split(path, made([0, 1]))
    with pytest.raises(UserError, match="the split ''"):
        apply_split(made([0, 1]), path)
