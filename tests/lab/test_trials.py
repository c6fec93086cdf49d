import json
from typing import Any

import pytest

from lab.sweeping import TINY, experiment
from residua.lab.catalogue import experiments
from residua.lab.trials import Trial, trials
from residua.nets.zoo import spec
from residua.training.asking.changes import Changes
from residua.training.asking.wanted import wanted
from residua.training.recipes import RECIPES


def digests(**changes: Any) -> list[str]:
    return [trial.digest for _, trial in trials(experiment(**changes), "quick", "data")]


def test_a_trial_is_known_by_what_decides_its_result() -> None:
    usual = digests()
    assert len(set(usual)) == len(usual) == 6
    assert digests(name="other", title="Other", question="?", measurements=["responses"]) == usual
    assert digests(networks={"x": TINY, "y": {**TINY, "shortcut": "scaling"}}, claims=[]) == usual
    for change in (
        {"epochs": 2},
        {"changes": {"batch": 16}},
        {"limit": 100},
        {"recipe": "paper"},
        {"val": 0.2},
    ):
        assert not set(digests(scales={"quick": {"epochs": 1, "changes": {"batch": 32}} | change})) & set(
            usual
        )
    (_, first), *_ = trials(experiment(), "quick", "other data")
    assert first.digest not in usual


def test_another_named_recipe_is_another_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = digests()
    pair = RECIPES["fast"]
    monkeypatch.setitem(RECIPES, "fast", pair._replace(small=pair.small.edit(momentum=0.8)))
    assert not set(digests()) & set(usual)


def test_a_trial_goes_to_another_process_and_back() -> None:
    for each in experiments():
        for _, trial in trials(each, "quick", "data", 1):
            same = Trial.read(json.loads(json.dumps(trial.to_dict())))
            assert (same.digest, same.name) == (trial.digest, trial.name)


def test_experiments_share_their_trials() -> None:
    planned = [trial for each in experiments() for _, trial in trials(each, "quick", "data")]
    assert len({trial.digest for trial in planned}) < 0.7 * len(planned)
    names = {trial.name for trial in planned}
    assert len(names) == len({trial.digest for trial in planned})
    assert max(map(len, names)) < 100


def test_what_is_asked_is_the_network_itself() -> None:
    """A bottleneck of 20 layers has fewer units than the name alone says."""
    for made in (spec("cifar_resnet20", unit="bottleneck"), spec("vgg16_bn", convolutions=(1, 1, 1, 1, 1))):
        asked = wanted("digits", Trial(made, {"epochs": 1}, 0, "data").asked())
        assert asked.model
        assert Changes.sorted(asked.changes).of_network(spec(asked.model)) == made


def test_seeds_come_one_after_the_other() -> None:
    found = trials(experiment(), "quick", "data", 3)
    assert [(member.label, trial.seed) for member, trial in found] == [
        ("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2),
    ]  # fmt: skip
