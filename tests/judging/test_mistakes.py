"""The worst mistakes, and labels that are likely wrong."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from judging.small import outcomes
from residua.judging.figures.mistakes import described, likely_label_errors, worst_mistakes


def test_the_worst_mistakes_are_the_wrong_ones_of_the_largest_loss() -> None:
    logits = [[3.0, 0.0], [1.0, 0.0], [0.0, 2.0], [5.0, 0.0], [5.0, 0.0]]
    found = worst_mistakes(outcomes(logits, [0, 1, 0, 1, 1]), 3)
    assert [each.path for each in found] == ["3.png", "4.png", "2.png"]
    worst = found[0]
    assert (worst.label, worst.predicted) == ("class 1", "class 0")
    assert np.isclose(worst.probability + worst.own, 1)
    assert np.isclose(worst.loss, -np.log(worst.own), rtol=1e-4)
    assert worst_mistakes(outcomes(logits, [0, 1, 0, 1, 1]), 0) == ()


def test_labels_that_were_changed_are_found() -> None:
    random = np.random.default_rng(0)
    true = random.integers(0, 5, 500)
    logits = torch.from_numpy(random.normal(size=(500, 5)).astype(np.float32)) + 6 * torch.eye(5)[true]
    labels = true.copy()
    changed = random.choice(500, 20, replace=False)
    labels[changed] = (labels[changed] + 1) % 5
    found = likely_label_errors(outcomes(logits, labels))
    assert len(found) > 0
    assert set(found.tolist()) <= set(changed.tolist())
    assert len(found) >= 12
    first = described(outcomes(logits, labels), found[:3])
    assert [each.path for each in first] == [f"{place}.png" for place in found[:3]]


@given(st.integers(1, 40), st.integers(2, 6), st.integers(0, 2**32))
def test_the_rule_is_the_one_that_is_described(count: int, classes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    logits = torch.from_numpy(random.normal(size=(count, classes)).astype(np.float32))
    labels = random.integers(0, classes, count)
    chances = logits.double().softmax(1).float().numpy().astype(np.float64)
    own = chances[np.arange(count), labels]
    usual = [own[labels == name].mean() if (labels == name).any() else np.inf for name in range(classes)]
    expected = {
        place
        for place, guess in enumerate(chances.argmax(1))
        if guess != labels[place]
        and chances[place, guess] >= usual[guess]
        and own[place] < usual[labels[place]]
    }
    assert set(likely_label_errors(outcomes(logits, labels)).tolist()) == expected
