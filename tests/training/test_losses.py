"""The loss against the formula it stands for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from residua.training.updating.losses import balanced_weights, cross_entropy

LOGITS = torch.randn(6, 4, generator=torch.Generator().manual_seed(3))
LABELS = torch.tensor([0, 1, 1, 2, 3, 1])
WEIGHTS = torch.tensor([2.0, 0.5, 1.0, 3.0])


@given(st.floats(0, 0.9), st.booleans())
def test_it_is_the_formula(smoothing: float, weighed: bool) -> None:
    weights = WEIGHTS if weighed else torch.ones(4)
    shares = torch.nn.functional.one_hot(LABELS, 4) * (1 - smoothing) + smoothing / 4
    expected = -(shares * weights * LOGITS.log_softmax(1)).sum(1).mean()
    found = cross_entropy(LOGITS, LABELS, smoothing, WEIGHTS if weighed else None)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_shares_of_one_class_are_that_class(weights: torch.Tensor | None) -> None:
    shares = torch.nn.functional.one_hot(LABELS, 4).float()
    torch.testing.assert_close(
        cross_entropy(LOGITS, shares, 0.1, weights), cross_entropy(LOGITS, LABELS, 0.1, weights)
    )


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_a_batch_is_the_mean_of_its_parts(weights: torch.Tensor | None) -> None:
    parts = [cross_entropy(LOGITS[part], LABELS[part], 0.1, weights) for part in (slice(3), slice(3, 6))]
    torch.testing.assert_close(sum(parts) / 2, cross_entropy(LOGITS, LABELS, 0.1, weights))


@pytest.mark.parametrize("autocast", [True, False])
def test_it_is_computed_in_float32(autocast: bool) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = cross_entropy(LOGITS.bfloat16(), LABELS)
    assert loss.dtype == torch.float32
    assert loss == cross_entropy(LOGITS.bfloat16().float(), LABELS)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=50))
def test_balanced_weights_make_classes_count_the_same_and_pictures_one(labels: list[int]) -> None:
    weights = balanced_weights(torch.tensor(labels), 5)
    present = sorted(set(labels))
    totals = [weights[label].item() * labels.count(label) for label in present]
    assert totals == pytest.approx([len(labels) / 5] * len(present))
    assert weights.isfinite().all()
