"""The figures agree with scikit-learn's, on random cases and on those made to be awkward."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle
from torch import Tensor

from judging.small import outcomes
from residua.judging.figures import ranking
from residua.judging.figures.metrics import DENSE, Counts, confusion_table, largest_confusions
from residua.judging.figures.ranking import ranked
from residua.judging.figures.scores import Tally


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], int]:
    """Labels and guesses; with few pictures most classes are absent from either or both."""
    classes = draw(st.sampled_from([2, 3, 5, 6, 10, 100]))
    count = draw(st.integers(1, 60))
    numbers = st.lists(st.integers(0, classes - 1), min_size=count, max_size=count)
    labels, guesses = (np.array(draw(numbers), np.int32) for _ in range(2))
    return labels, guesses, classes


def hold_against_the_oracle(labels: Any, guesses: Any, classes: int) -> None:
    counts = Counts.of(labels, guesses, classes)
    options: dict[str, Any] = {"labels": np.arange(classes), "average": None, "zero_division": np.nan}
    expected = oracle.precision_recall_fscore_support(labels, guesses, **options)
    names = tuple(map(str, range(classes)))
    rows = counts.per_class(names)
    assert tuple(row.name for row in rows) == names
    for column, values in zip(("precision", "recall", "f1"), expected, strict=False):
        found = [np.nan if (value := getattr(row, column)) is None else value for row in rows]
        np.testing.assert_allclose(found, 100 * values, rtol=1e-12, err_msg=column)
    assert [row.support for row in rows] == expected[3].tolist()
    for average in ("macro", "weighted"):
        wanted = oracle.f1_score(labels, guesses, average=average)
        assert getattr(counts, f"{average}_f1") == pytest.approx(100 * wanted, rel=1e-12)
    wanted = oracle.recall_score(labels, guesses, labels=np.unique(labels), average="macro")
    assert counts.balanced_accuracy == pytest.approx(100 * wanted, rel=1e-12)


@settings(max_examples=40)
@given(cases())
def test_every_figure_is_the_oracles(case: Any) -> None:
    labels, guesses, classes = case
    hold_against_the_oracle(labels, guesses, classes)
    table = confusion_table(labels, guesses, classes)
    assert table is not None
    np.testing.assert_array_equal(table, oracle.confusion_matrix(labels, guesses, labels=np.arange(classes)))


def test_ten_thousand_classes_are_judged_without_their_table() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 10_000, 5000, dtype=np.int32)
    guesses = np.where(random.random(5000) < 0.5, labels, (labels + 1) % 10_000).astype(np.int32)
    hold_against_the_oracle(labels, guesses, 10_000)
    assert confusion_table(labels, guesses, DENSE + 1) is None


def test_a_class_that_neither_is_nor_is_named_has_no_figures() -> None:
    labels, guesses = np.array([0, 0], np.int32), np.array([0, 1], np.int32)
    _, named, absent = Counts.of(labels, guesses, 3).per_class(("a", "b", "c"))
    assert (named.precision, named.recall, named.f1) == (0.0, None, 0.0)
    assert (absent.precision, absent.recall, absent.f1) == (None, None, None)


def test_confusions_are_listed_most_often_first() -> None:
    labels, guesses = np.array([2, 0, 0, 1, 1, 2], np.int32), np.array([2, 1, 1, 0, 1, 0], np.int32)
    found = largest_confusions(labels, guesses, ("a", "b", "c"), 2)
    assert [(each.label, each.predicted, each.count) for each in found] == [("a", "b", 2), ("b", "a", 1)]


@given(st.integers(1, 40), st.integers(0, 2**32), st.sampled_from([1, 2, 5, 50, 1000]))
def test_of_equal_scores_the_lowest_class_comes_first(classes: int, seed: int, levels: int) -> None:
    """Few levels make many ties; one makes every class equal."""
    logits = np.random.default_rng(seed).integers(0, levels, (9, classes)).astype(np.float32)
    expected = np.argsort(-logits, axis=1, kind="stable")[:, :5]
    best = ranked(torch.from_numpy(logits))
    np.testing.assert_array_equal(best.numpy(), expected)
    np.testing.assert_array_equal(best[:, 0].numpy(), logits.argmax(1))


def test_only_rows_of_doubtful_order_are_sorted_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes, whole = [], ranking._sorted

    def watched(logits: Tensor) -> Tensor:
        shapes.append(tuple(logits.shape))
        return whole(logits)

    monkeypatch.setattr(ranking, "_sorted", watched)
    logits = torch.randn(64, 1000)
    logits[3], logits[9, 500:] = 0, torch.nan
    best = ranked(logits)
    assert shapes == [(64, 6), (2, 1000)]
    assert (best[3].tolist(), best[9].tolist()) == ([0, 1, 2, 3, 4], [500, 501, 502, 503, 504])


@settings(max_examples=40)
@given(st.integers(6, 40), st.integers(1, 50), st.integers(0, 2**32))
def test_top1_top5_and_loss_are_the_oracles(classes: int, count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(size=(count, classes)).astype(np.float32)
    labels = random.integers(0, classes, count, dtype=np.int32)
    found = outcomes(torch.from_numpy(logits), labels)
    every = np.arange(classes)
    assert found.right.mean() == oracle.accuracy_score(labels, logits.argmax(1))
    assert found.in_top.mean() == pytest.approx(
        oracle.top_k_accuracy_score(labels, logits, k=5, labels=every)
    )
    chances = torch.from_numpy(logits).double().softmax(1).numpy()
    expected = oracle.log_loss(labels, chances, labels=every)
    assert found.losses.mean(dtype=np.float64) == pytest.approx(expected, rel=1e-5)


@given(st.integers(1, 8), st.integers(1, 30), st.integers(0, 2**32))
def test_training_and_evaluation_score_alike(classes: int, count: int, seed: int) -> None:
    """Whatever the batches, the figures that a training follows are those of an evaluation."""
    random = np.random.default_rng(seed)
    logits = torch.from_numpy(random.integers(0, 4, (count, classes)).astype(np.float32))
    labels = random.integers(0, classes, count, dtype=np.int32)
    tally = Tally(classes)
    for start in range(0, count, 4):
        tally.add(logits[start : start + 4], torch.from_numpy(labels[start : start + 4].astype(np.int64)))
    scores, found = tally.scores(), outcomes(logits, labels)
    assert scores.samples == count
    assert scores.top1 == pytest.approx(100 * found.right.mean())
    assert scores.top5 == (pytest.approx(100 * found.in_top.mean()) if classes > 5 else None)
    assert scores.loss == pytest.approx(found.losses.mean(dtype=np.float64), rel=1e-5, abs=1e-7)
    counts = Counts.of(labels, found.guesses[:, 0], classes)
    assert scores.macro_f1 == pytest.approx(counts.macro_f1)
