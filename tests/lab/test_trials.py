import json
from dataclasses import replace
from typing import Any

import pytest

from lab.sweeping import TINY, experiment
from residua.data.sources.digits import open_digits
from residua.data.splitting import split
from residua.lab.catalogue import experiments
from residua.lab.trials import Trial, trials
from residua.nets.zoo import spec
from residua.training.asking.changes import Changes
from residua.training.asking.wanted import wanted
from residua.training.pictures.loaders import Loaders
from residua.training.recipes import RECIPES
from residua.training.settling.choosing import Pictures, choose


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
        {"recipe": "fast"},
        {"val": 0.2},
    ):
        assert not set(digests(scales={"quick": {"epochs": 1, "changes": {"batch": 32}} | change})) & set(
            usual
        )
    for computed in ({"device": "cuda"}, {"compiled": True}):
        others = {trial.digest for _, trial in trials(experiment(), "quick", "data", None, **computed)}
        assert not others & set(usual)
    (_, first), *_ = trials(experiment(), "quick", "other data")
    assert first.digest not in usual


def test_a_change_of_what_decides_is_seen() -> None:
    """With another digest every trial that was kept is trained anew: change it only where results change."""
    trial = Trial(spec("cifar_resnet8"), {"recipe": "paper", "epochs": 4}, 1, "data")
    assert (trial.name, trial.digest) == ("resnet8-seed1-2756487ecda0", "2756487ecda0ec0bc132bf03f5e42721")


def test_another_named_recipe_is_another_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = digests()
    pair = RECIPES["paper"]
    monkeypatch.setitem(RECIPES, "paper", pair._replace(small=pair.small.edit(momentum=0.8)))
    assert not set(digests()) & set(usual)


def test_a_trial_goes_to_another_process_and_back() -> None:
    for each in experiments():
        for _, trial in trials(each, "quick", "data", 1):
            given = replace(trial, device="cuda", compiled=True)
            same = Trial.read(json.loads(json.dumps(given.to_dict())))
            assert (same, same.digest, same.name) == (given, given.digest, given.name)


def test_experiments_share_their_trials() -> None:
    planned = [trial for each in experiments() for _, trial in trials(each, "quick", "data")]
    assert len({trial.digest for trial in planned}) < 0.75 * len(planned)
    names = {trial.name for trial in planned}
    assert len(names) == len({trial.digest for trial in planned})
    assert max(map(len, names)) < 100


def test_what_is_asked_is_the_network_itself() -> None:
    """A bottleneck of 20 layers has fewer units than the name alone says."""
    for made in (spec("cifar_resnet20", unit="bottleneck"), spec("vgg16_bn", convolutions=(1, 1, 1, 1, 1))):
        asked = wanted("digits", Trial(made, {"epochs": 1}, 0, "data", compiled=True).asked())
        assert asked.changes["compiled"] is True
        assert asked.model
        assert Changes.sorted(asked.changes).of_network(spec(asked.model)) == made


def test_seeds_learn_from_the_same_pictures() -> None:
    data = split(open_digits(), val=0.1, seed=0)
    first, second = (
        choose(wanted("digits", trial.asked()), Pictures(data, 8, gray=True))
        for trial in (
            Trial(spec("cifar_resnet8"), {"epochs": 1, "limit": 100}, seed, "data") for seed in (0, 1)
        )
    )
    assert first.seed != second.seed and first.preprocessing == second.preprocessing
    places = [Loaders(data, settings).training_places.tolist() for settings in (first, second)]
    assert places[0] == places[1] and len(places[0]) == 100


def test_seeds_come_one_after_the_other() -> None:
    found = trials(experiment(), "quick", "data", 3)
    assert [(member.label, trial.seed) for member, trial in found] == [
        ("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2),
    ]  # fmt: skip
