import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import pytest
import torch

from lab.sweeping import TINY, experiment
from residua import create
from residua.data.augmentation import Augmentation
from residua.data.augmentation.description import CONDITIONAL as OF_AUGMENTATIONS
from residua.data.sources.digits import open_digits
from residua.data.splitting import split
from residua.lab.catalogue import experiments
from residua.lab.trials import Trial, trials
from residua.nets.spec import CONDITIONAL as OF_NETWORKS
from residua.nets.spec import Spec, VggSpec
from residua.nets.zoo import spec
from residua.training.asking.changes import Changes
from residua.training.asking.wanted import wanted
from residua.training.pictures.loaders import Loaders
from residua.training.recipes import CONDITIONAL, RECIPES, Recipe
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
    for computed in ({"device": "cuda"}, {"precision": "bf16"}, {"compiled": True}):
        others = {trial.digest for _, trial in trials(experiment(), "quick", "data", None, **computed)}
        assert not others & set(usual)
    (_, first), *_ = trials(experiment(), "quick", "other data")
    assert first.digest not in usual


def test_a_change_of_what_decides_is_seen() -> None:
    """With another digest every trial that was kept is trained anew: change it only where results change."""
    trial = Trial(spec("cifar_resnet8"), {"recipe": "paper", "epochs": 4}, 1, "data", photos=False)
    assert (trial.name, trial.digest) == ("resnet8-seed1-1ce735ae7a5b", "1ce735ae7a5b612560f24e763bb68a29")


@dataclass(frozen=True, kw_only=True)
class NewerSpec(Spec):
    new: int = 3


@dataclass(frozen=True, kw_only=True)
class NewerAugmentation(Augmentation):
    new: int = 3


@dataclass(frozen=True, kw_only=True)
class NewerRecipe(Recipe):
    new: int = 3


def test_a_new_field_that_nobody_sets_changes_no_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(spec("cifar_preresnet8"), {"recipe": "paper"}, 0, "data", photos=False)
    assert replace(trial, spec=NewerSpec(**asdict(trial.spec))).digest == trial.digest
    assert replace(trial, spec=NewerSpec(**asdict(trial.spec), new=4)).digest != trial.digest
    pair = RECIPES["paper"]
    values = asdict(pair.small)
    changes = values.pop("augmentation")
    every: tuple[dict[str, Any], ...] = ({}, {"new": 4})
    for new in every:
        augmentation = NewerAugmentation(**changes, **new)
        for newer in (
            NewerRecipe(**values, augmentation=augmentation),
            Recipe(**values, augmentation=augmentation),
            NewerRecipe(**values, augmentation=changes, **new),
        ):
            monkeypatch.setitem(RECIPES, "paper", pair._replace(small=newer))
            assert (replace(trial).digest == trial.digest) is (not new)


# For each field of a recipe what it has a meaning beside, and another value.
OTHERS: dict[str, tuple[dict[str, Any], Any]] = {
    "epochs": ({}, 3),
    "steps": ({}, 3),
    "batch": ({}, 64),
    "accumulate": ({}, 2),
    "optimizer": ({}, "adamw"),
    "learning_rate": ({}, 0.2),
    "vector_rate": ({"optimizer": "muon"}, 0.2),
    "momentum": ({}, 0.8),
    "nesterov": ({}, False),
    "weight_decay": ({}, 0.0),
    "decayed": ({}, "all"),
    "layer_decay": ({}, 0.5),
    "clip": ({}, 1.0),
    "schedule": ({}, "linear"),
    "milestones": ({"schedule": "steps"}, (0.1,)),
    "plateau": ({"schedule": "plateau"}, 3),
    "factor": ({"schedule": "steps"}, 0.2),
    "warmup": ({}, 0.1),
    "warmup_factor": ({"warmup": 0.1}, 0.5),
    "augmentation": ({}, "flip"),
    "sampling": ({}, "balanced"),
    "sizes": ({}, (0.5, 1.0)),
    "label_smoothing": ({}, 0.1),
    "class_weights": ({}, "balanced"),
    "freeze": ({}, 1),
    "norms": ({}, "frozen"),
    "average": ({}, 0.9),
    "metric": ({"patience": 2}, "loss"),
    "patience": ({}, 2),
}


def named(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> str:
    """The digest of a trial whose recipe, by whatever name, is so."""
    made = Recipe(**{"epochs": 2, **changes} if "steps" not in changes else changes)
    monkeypatch.setitem(RECIPES, "paper", RECIPES["paper"]._replace(small=made))
    return Trial(spec("cifar_resnet8"), {"recipe": "paper"}, 0, "data", photos=False).digest


@pytest.mark.parametrize("field", [f.name for f in fields(Recipe) if f.name != "name"])
def test_each_field_of_a_recipe_that_decides_is_seen(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    beside, other = OTHERS[field]
    assert named(monkeypatch, **beside, **{field: other}) != named(monkeypatch, **beside)


def test_what_decides_nothing_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert named(monkeypatch, metric="loss") == named(monkeypatch) == named(monkeypatch, name="other")
    usual, asked = ({"recipe": "paper", "metric": metric} for metric in ("top1", "loss"))
    for beside, same in (({}, True), ({"patience": 2}, False), ({"schedule": "plateau"}, False)):
        one, other = (
            Trial(spec("cifar_resnet8"), {**each, **beside}, 0, "", photos=False) for each in (usual, asked)
        )
        assert (one.digest == other.digest) is same
    trial = Trial(spec("cifar_resnet8"), {"recipe": "paper"}, 0, "data", photos=False)
    photos, unknown = replace(trial, photos=True), replace(trial, photos=None)
    before = [trial.digest, photos.digest, unknown.digest]
    pair = RECIPES["paper"]
    monkeypatch.setitem(RECIPES, "paper", pair._replace(photo=pair.photo.edit(momentum=0.8)))
    after = [replace(each).digest for each in (trial, photos, unknown)]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, False]


def test_a_deep_network_has_a_recipe_of_its_own() -> None:
    shallow, deep = (Trial(spec(f"cifar_resnet{depth}"), {"recipe": "paper"}, 0, "") for depth in (56, 110))
    assert "warmup" in str(deep.as_json()["recipe"]) and "warmup" not in str(shallow.as_json()["recipe"])


USUAL: tuple[tuple[type, Any, dict[str, Any]], ...] = (
    (Spec, OF_NETWORKS, {
        "stem": "imagenet", "stem_width": 64, "stem_pool": "max", "unit": "basic", "units": (2, 2, 2, 2),
        "widths": (64, 128, 256, 512), "width": 1.0, "groups": 1, "stride_place": "3x3",
        "stride_unit": "first", "output_stride": None, "order": "original", "first_activation": "stem",
        "shared_activation": "stage", "residual": True, "shortcut": "identity", "projection": "B",
        "projection_pool": False, "zero_channels": "behind", "shortcut_scale": 0.5, "residual_scale": 0.5,
        "gate_bias": -6.0, "dropout_rate": 0.5, "norm": "batch", "norm_eps": 1e-05, "norm_momentum": 0.1,
        "norm_groups": 32, "bias": "none", "squeeze_excitation": None, "stochastic_depth": 0.0,
        "zero_init_residual": False,
    }),
    (VggSpec, {}, {
        "convolutions": (2, 2, 4, 4, 4), "widths": (64, 128, 256, 512, 512), "hidden": 4096, "norm": "none",
        "dropout_rate": 0.5,
    }),
    (Recipe, CONDITIONAL, {
        "epochs": None, "steps": None, "batch": 128, "accumulate": 1, "optimizer": "sgd",
        "learning_rate": 0.1, "vector_rate": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.0001,
        "decayed": "weights", "layer_decay": 1.0, "clip": None, "schedule": "cosine",
        "milestones": (0.5, 0.75), "plateau": 5, "factor": 0.1, "warmup": 0.0, "warmup_factor": None,
        "sampling": "uniform", "sizes": (1.0,), "label_smoothing": 0.0, "class_weights": "none", "freeze": 0,
        "norms": "train", "average": None, "metric": "top1", "patience": None,
    }),
    (Augmentation, OF_AUGMENTATIONS, {
        "crop_padding": 0, "padding": "mean", "resized_crop": None, "ratio": (3 / 4, 4 / 3),
        "scaled_crop": None, "flip": "none", "brightness": 0.0, "contrast": 0.0, "saturation": 0.0,
        "hue": 0.0, "lighting": 0.0, "randaugment": 0, "magnitude": 9.0, "erasing": 0.0, "mixup": 0.0,
        "cutmix": 0.0,
    }),
)  # fmt: skip


def test_what_is_left_out_of_a_digest_is_what_it_was() -> None:
    """Where a default differs from these, other trainings would have the old names: raise VERSION then."""
    for kind, conditional, pinned in USUAL:
        usual = {
            f.name: conditional[f.name].usual if f.name in conditional else f.default for f in fields(kind)
        }
        assert {name: usual[name] for name in pinned} == pinned


def test_another_named_recipe_is_another_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = digests()
    pair = RECIPES["paper"]
    monkeypatch.setitem(RECIPES, "paper", pair._replace(small=pair.small.edit(momentum=0.8)))
    assert not set(digests()) & set(usual)


def test_a_trial_goes_to_another_process_and_back() -> None:
    for each in experiments():
        for _, trial in trials(each, "quick", "data", 1):
            given = replace(trial, device="cuda", precision="bf16", compiled=True, photos=True)
            same = Trial.read(json.loads(json.dumps(given.to_dict())))
            assert (same, same.digest, same.name) == (given, given.digest, given.name)


def test_experiments_share_their_trials() -> None:
    planned = [trial for each in experiments() for _, trial in trials(each, "quick", "data")]
    assert len({trial.digest for trial in planned}) < 0.75 * len(planned)
    names = {trial.name for trial in planned}
    assert len(names) == len({trial.digest for trial in planned})
    assert max(map(len, names)) < 100


def test_projections_everywhere_are_trained_once() -> None:
    """Option C and 1x1 convolutions on all shortcuts are one network."""
    by_name = {each.name: trials(each, "small", "data", 1) for each in experiments()}
    (option_c,) = (trial for member, trial in by_name["projections"] if member.label == "C")
    (same,) = (trial for member, trial in by_name["shortcuts"] if member.label == "1x1 convolution")
    assert option_c.digest == same.digest
    torch.manual_seed(0)
    network, other = create(option_c.spec), create(spec("cifar_resnet20", projection="C"))
    other.load_state_dict(dict(zip(other.state_dict(), network.state_dict().values(), strict=True)))
    pictures = torch.randn(2, 3, 32, 32)
    assert torch.equal(network.eval()(pictures), other.eval()(pictures))


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


def test_updates_counted_by_an_experiment_stand_for_the_passes_of_its_scale() -> None:
    made = experiment(recipe={"steps": 5})
    settings = [wanted("digits", trial.asked()) for _, trial in trials(made, "quick", "data", 1)]
    assert [each.changes["steps"] for each in settings] == [5, 5]


def test_seeds_come_one_after_the_other() -> None:
    found = trials(experiment(), "quick", "data", 3)
    assert [(member.label, trial.seed) for member, trial in found] == [
        ("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2),
    ]  # fmt: skip
