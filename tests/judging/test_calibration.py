"""Calibration: errors held against their definition, the temperature against scipy's minimiser."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor

import residua
from judging.small import model, outcomes, pictures
from residua.errors import UserError
from residua.judging.evaluation import evaluate
from residua.judging.figures import temperature
from residua.judging.figures.calibration import (
    BINS,
    Calibration,
    calibrated,
    error,
    largest_error,
    reliability,
)
from residua.judging.figures.temperature import Kept
from residua.judging.storing import store_temperature
from residua.weights.modelfile import inspect


def kept(logits: Tensor, labels: NDArray[Any], batch: int = 7, room: int = 2**20) -> Kept:
    found = Kept(labels.astype(np.int32), logits.shape[1], room)
    for start in range(0, len(logits), batch):
        found.add(start, logits[start : start + batch])
    return found


def answered(
    sharpness: float, count: int = 400, classes: int = 6, seed: int = 0
) -> tuple[Tensor, NDArray[np.int32]]:
    """Logits whose probabilities come true when they are divided by `sharpness`."""
    random = np.random.default_rng(seed)
    logits = torch.from_numpy(random.normal(size=(count, classes)).astype(np.float32) * 2)
    ladders = logits.double().softmax(1).cumsum(1).numpy()
    labels = (random.random((count, 1)) > ladders).sum(1).clip(0, classes - 1).astype(np.int32)
    return logits * sharpness, labels


@given(st.integers(1, 200), st.integers(0, 2**32), st.booleans())
def test_the_errors_are_what_their_definition_says(count: int, seed: int, edges: bool) -> None:
    random = np.random.default_rng(seed)
    confidence = random.random(count).astype(np.float32)
    if edges:  # where a bin ends is where mistakes are made
        confidence = (random.integers(0, BINS + 1, count) / BINS).astype(np.float32)
    right = random.random(count) < 0.7
    bins, gaps = reliability(confidence, right), []
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        exact = confidence.astype(np.float64)
        inside = (exact * BINS > number) & (exact * BINS <= number + 1) | ((number == 0) & (exact == 0))
        assert bins[number].count == inside.sum()
        assert (bins[number].low, bins[number].high) == pytest.approx((low, high))
        if inside.any():
            gaps.append((abs(exact[inside].mean() - right[inside].mean()), inside.mean()))
            assert bins[number].accuracy == pytest.approx(right[inside].mean())
        else:
            assert bins[number].accuracy is bins[number].confidence is None
    assert error(bins) == pytest.approx(sum(gap * share for gap, share in gaps))
    assert largest_error(bins) == pytest.approx(max(gap for gap, _ in gaps))


@settings(max_examples=25)
@given(st.floats(0.2, 8), st.integers(2, 30), st.integers(0, 2**32))
def test_the_temperature_is_the_one_that_scipy_finds(sharpness: float, classes: int, seed: int) -> None:
    logits, labels = answered(sharpness, 200, classes, seed)
    best = kept(logits, labels).best_temperature()
    places = torch.from_numpy(labels.astype(np.int64))

    def loss(cold: float) -> float:
        return torch.nn.functional.cross_entropy(logits.double() * np.exp(cold), places).item()

    expected = minimize_scalar(loss, bounds=(-5, 5), method="bounded", options={"xatol": 1e-7})
    assert best == pytest.approx(np.exp(-expected.x), rel=0.01)


@pytest.mark.parametrize(
    ("sharpness", "leaning"), [(0.5, "under-confident"), (1.0, "fitting"), (3.0, "over-confident")]
)
def test_a_network_that_is_too_sure_or_too_modest_is_found_out(sharpness: float, leaning: str) -> None:
    logits, labels = answered(sharpness, 20_000)
    found = calibrated(outcomes(logits, labels, batch=5000), kept(logits, labels), 1.0)
    assert found.leaning == leaning
    assert found.best_temperature == pytest.approx(sharpness, rel=0.03)
    assert found.best_ece is not None
    assert found.best_ece < 0.01
    assert (found.ece > 0.05) == (leaning != "fitting")


def test_probabilities_are_judged_at_the_temperature_that_the_model_has() -> None:
    logits, labels = answered(3.0, 20_000)
    stored = calibrated(outcomes(logits, labels, temperature=3.0, batch=5000), kept(logits, labels), 3.0)
    assert stored.leaning == "fitting"
    assert stored.ece < 0.01
    assert stored.best_temperature == pytest.approx(3.0, rel=0.03)


@pytest.mark.parametrize("right", [True, False])
def test_where_all_is_right_or_all_is_wrong_no_temperature_fits(right: bool) -> None:
    logits, labels = torch.eye(4)[[0, 1, 2]], np.array([0, 1, 2]) if right else np.array([3, 3, 3])
    assert kept(logits, labels).best_temperature() is None
    assert calibrated(outcomes(logits, labels), kept(logits, labels), 1.0).leaning == "undetermined"


@given(st.integers(1, 50), st.integers(1, 20), st.integers(1, 60))
def test_what_is_kept_is_bounded_and_evenly_chosen(count: int, batch: int, rows: int) -> None:
    logits = torch.arange(count * 3.0).reshape(count, 3)
    found = kept(logits, np.arange(count) % 3, batch, room=rows * 3 * 4)
    assert found.logits.nbytes <= rows * 3 * 4
    torch.testing.assert_close(found.logits, logits[:: found.every])
    assert found.labels.tolist() == (np.arange(count) % 3)[:: found.every].tolist()
    assert found.every == 1 or rows < count


@pytest.mark.parametrize("sharpness", [0.02, 0.2, 3.0, 50.0])
def test_the_temperature_is_found_in_few_steps(sharpness: float, monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = answered(sharpness)
    steps = counted(monkeypatch)
    assert kept(logits, labels).best_temperature() == pytest.approx(sharpness, rel=0.3)
    assert len(steps) < 20


@pytest.mark.parametrize("scale", [0.001, 1.0, 50.0, 1000.0])  # of the last, every probability is 0 or 1
def test_that_there_is_none_is_seen_at_once(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = counted(monkeypatch)
    labels = np.array([0, 1, 2])
    assert kept(scale * torch.eye(4)[labels], labels).best_temperature() is None
    assert kept(-scale * torch.eye(4)[labels], labels).best_temperature() is None
    assert kept(torch.zeros(3, 4), labels).best_temperature() is None
    assert len(steps) < 10


@pytest.mark.parametrize("least", [1e-3, 1.0, 5.0, 1000.0])
@pytest.mark.parametrize("classes", [2, 10])
def test_where_all_is_right_there_is_none_however_far_right(least: float, classes: int) -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, 50)
    logits = torch.from_numpy(random.normal(size=(50, classes)).astype(np.float32))
    own = logits.amax(1) + least * torch.linspace(1, 3, 50)
    logits[torch.arange(50), torch.from_numpy(labels)] = own
    assert kept(logits, labels).best_temperature() is None
    assert kept(logits * 1000, labels).best_temperature() is None


def test_why_there_is_none_is_known() -> None:
    labels, flat = np.array([0, 1, 2]), torch.zeros(3, 4)
    tied = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    assert kept(torch.eye(4)[labels], labels).colder_is_better()
    assert kept(tied, np.array([0, 1])).colder_is_better()  # nothing but a tie is no right guess
    assert not kept(-torch.eye(4)[labels], labels).colder_is_better()
    assert not kept(flat, labels).colder_is_better()  # no temperature makes a difference


def test_a_search_that_does_not_end_finds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = answered(3.0)
    assert kept(logits, labels).best_temperature() is not None
    monkeypatch.setattr(temperature, "STEPS", 2)
    assert kept(logits, labels).best_temperature() is None


@settings(max_examples=20)
@given(st.floats(1e-5, 1e5), st.integers(0, 2**32))
def test_the_best_temperature_of_scores_of_any_size_is_found(sharpness: float, seed: int) -> None:
    logits, labels = answered(1.0, 200, 4, seed)
    best = kept(logits, labels).best_temperature()
    assert best is not None
    assert kept(logits * sharpness, labels).best_temperature() == pytest.approx(best * sharpness, rel=1e-3)


def test_a_temperature_is_not_stored_in_another_file_than_was_judged(tmp_path: Path) -> None:
    path = residua.save(model(), tmp_path / "model.safetensors")
    found = replace(evaluate(path, pictures(5)), calibration=fitted(2.5))
    other = residua.save(model(stem_width=3), tmp_path / "other.safetensors")
    before = other.read_bytes()
    other.replace(path)
    with pytest.raises(UserError, match="was changed since"):
        store_temperature(path, found)
    assert path.read_bytes() == before
    with pytest.raises(UserError, match="of no file"):
        store_temperature(path, replace(evaluate(model(), pictures(5)), calibration=fitted(2.5)))


def counted(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every place at which the slope is asked for."""
    steps: list[float] = []
    slope = Kept._slope

    def watched(self: Kept, sharpness: float) -> tuple[float, float]:
        steps.append(sharpness)
        return slope(self, sharpness)

    monkeypatch.setattr(Kept, "_slope", watched)
    return steps


def test_a_stored_temperature_changes_nothing_but_itself(tmp_path: Path) -> None:
    path = residua.save(model(), tmp_path / "model.safetensors")
    before, stated = residua.load(path), inspect(path)
    best = store_temperature(path, replace(evaluate(path, pictures(5)), calibration=fitted(2.5)))
    after = residua.load(path)
    assert after.metadata.temperature == best == 2.5
    assert {**vars(inspect(path)), "temperature": None} == vars(stated)
    for name, tensor in before.network.state_dict().items():
        assert torch.equal(tensor, after.network.state_dict()[name]), name
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]
    pixels = np.zeros((8, 8, 1), np.uint8)
    assert after.predict(pixels).probability < before.predict(pixels).probability


def fitted(best: float | None) -> Calibration:
    """A calibration that has found this temperature."""
    logits, labels = answered(2.0, 50)
    return replace(calibrated(outcomes(logits, labels), kept(logits, labels), 1.0), best_temperature=best)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"learned": 3}, "3 of these pictures are for training"),
        ({"views": "flip"}, "one view"),
        ({"calibration": fitted(None)}, "none fits best"),
    ],
)
def test_a_temperature_that_would_not_hold_is_not_stored(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = residua.save(model(), tmp_path / "model.safetensors")
    found = replace(evaluate(path, pictures(5)), **{"calibration": fitted(2.5)} | changes)
    with pytest.raises(UserError, match=said):
        store_temperature(path, found)
    assert inspect(path).temperature is None
