"""What a recipe accepts, what it says of the rest, and the named ones."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from residua import UserError
from residua.data.augmentation import augmentation
from residua.nets.values import from_text
from residua.training.recipes import CONDITIONAL, RECIPES, Recipe, recipe

NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"learning_rat": 0.1}, "unknown field of a recipe 'learning_rat': did you mean learning_rate"),
    ({"optimizer": "lion"}, "optimizer='lion' is not valid.*'adamw'"),
    ({"epochs": None}, "epochs=None and steps=None"),
    ({"epochs": 3, "steps": 3}, "epochs=3 and steps=3"),
    ({"epochs": 0}, "epochs=0.*at least 1"),
    ({"epochs": 1.5}, "epochs=1.5.*whole number"),
    ({"batch": 0}, "batch=0.*at least 1"),
    ({"batch": 4, "accumulate": 5}, "accumulate=5.*batch of 4"),
    ({"learning_rate": 0}, "learning_rate=0.0.*above 0"),
    ({"learning_rate": float("nan")}, "learning_rate=nan"),
    ({"clip": -1}, "clip=-1.0.*above 0"),
    ({"momentum": 1}, "momentum=1.0"),
    ({"momentum": 0}, "nesterov=True.*momentum=0"),
    ({"optimizer": "adamw", "momentum": 0.9}, "momentum=0.9 has no meaning.*optimizer='sgd'"),
    ({"vector_rate": 0.1}, "vector_rate=0.1.*optimizer='muon'"),
    ({"optimizer": "muon", "decayed": "all"}, "decayed='all' has no meaning.*optimizer='sgd' or 'adamw'"),
    ({"weight_decay": -1}, "weight_decay=-1.0"),
    ({"milestones": (0.5,)}, "milestones.*schedule='steps'"),
    ({"schedule": "steps", "milestones": (0.5, 0.4)}, "milestones.*larger"),
    ({"schedule": "steps", "milestones": (2.0,)}, "milestones=2.0.*at most 1"),
    ({"schedule": "steps", "factor": 0}, "factor=0.0.*above 0"),
    ({"plateau": 3}, "plateau=3.*schedule='plateau'"),
    ({"warmup": 1}, "warmup=1.0"),
    ({"warmup_factor": 0.1}, "warmup_factor=0.1.*without warmup"),
    ({"label_smoothing": 1}, "label_smoothing=1.0"),
    ({"average": 1}, "average=1.0"),
    ({"sizes": ()}, "sizes"),
    ({"sizes": (0.5, 0)}, "sizes=0.0.*above 0"),
    ({"layer_decay": 0}, "layer_decay=0.0"),
    ({"patience": 0}, "patience=0"),
    ({"sampling": "balanced", "class_weights": "balanced"}, "one correction twice"),
    ({"augmentation": "foto"}, "unknown augmentation 'foto': did you mean photo"),
    ({"augmentation": {"flop": "random"}}, "field of the augmentation 'flop': did you mean flip"),
    ({"augmentation": 5}, "augmentation=5 is not valid"),
]


@pytest.mark.parametrize(("changes", "message"), NONSENSE, ids=str)
def test_nonsense_is_one_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        Recipe(epochs=10).edit(**changes)
    assert "\n" not in str(caught.value)


def test_unknown_recipes_and_fields_name_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown recipe 'papers': did you mean paper"):
        recipe("papers", size=32)
    with pytest.raises(UserError, match="did you mean epochs"):
        Recipe.from_dict({"epoch": 3})
    with pytest.raises(UserError, match="did you mean momentum"):
        Recipe.hint("momentun")


@pytest.mark.parametrize("size", [32, 224])
@pytest.mark.parametrize("name", RECIPES)
def test_recipes_survive_json(name: str, size: int) -> None:
    one = recipe(name, size=size)
    again = Recipe.from_dict(json.loads(json.dumps(one.to_dict())))
    assert again == one and again.name == name


def test_a_choice_that_an_edit_makes_meaningless_is_forgotten() -> None:
    paper = recipe("paper", size=32)
    cosine = paper.edit(schedule="cosine", optimizer="adamw", epochs=3)
    assert (cosine.milestones, cosine.factor, cosine.momentum, cosine.nesterov) == (None,) * 4
    assert (cosine.epochs, cosine.steps) == (3, None)
    assert cosine.edit(schedule="steps").milestones == (0.5, 0.75)
    assert (paper.decayed, paper.edit(optimizer="muon").decayed) == ("all", None)


def test_an_augmentation_may_be_given_by_name_or_fields() -> None:
    named = Recipe(epochs=1).edit(augmentation="cifar")
    assert named.augmentation == augmentation("cifar")
    assert named == Recipe(epochs=1).edit(augmentation={"crop_padding": 4, "flip": "random"})


@given(
    st.fixed_dictionaries(
        {
            "optimizer": st.sampled_from(["sgd", "adamw", "muon"]),
            "schedule": st.sampled_from(["steps", "plateau", "cosine", "linear"]),
        }
    )
)
def test_conditional_fields_have_a_value_where_they_have_a_meaning(changes: dict[str, Any]) -> None:
    one = recipe("modern", size=32).edit(**changes)
    for name, condition in CONDITIONAL.items():
        assert (getattr(one, name) is not None) == condition.holds(one)
    assert Recipe.from_dict({f.name: getattr(one, f.name) for f in fields(one)}) == one


def test_the_papers_recipe_is_the_papers() -> None:
    small = recipe("paper", size=32, depth=20)
    assert (
        small.to_dict()
        | {
            "steps": 64_000,
            "batch": 128,
            "optimizer": "sgd",
            "learning_rate": 0.1,
            "momentum": 0.9,
            "nesterov": False,
            "weight_decay": 1e-4,
            "decayed": "all",
            "label_smoothing": 0.0,
            "average": None,
            "warmup": 0.0,
        }
        == small.to_dict()
    )
    assert small.augmentation == augmentation("none", crop_padding=4, flip="random")
    deep = recipe("paper", size=32, depth=110)
    assert deep.edit(warmup=0.0, warmup_factor=None) == small
    photo = recipe("paper", size=224, depth=152)
    assert (photo.steps, photo.batch, photo.schedule, photo.factor) == (600_000, 256, "plateau", 0.1)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("milestones", "0.5,0.75", (0.5, 0.75)),
        ("sizes", "0.5, 1", (0.5, 1.0)),
        ("clip", "none", None),
        ("batch", "64", 64),
        ("class_weights", "none", "none"),
        ("nesterov", "no", False),
        ("augmentation", "photo", augmentation("photo")),
    ],
)
def test_fields_can_be_typed(name: str, text: str, value: object) -> None:
    typed = recipe("paper", size=32).edit(**{name: from_text(name, text, Recipe.hint(name))})
    assert getattr(typed, name) == value


def test_changes_come_last() -> None:
    assert recipe("paper", size=32, depth=110, warmup=0.0, warmup_factor=None).warmup == 0
    assert recipe("fast", size=32, epochs=3).epochs == 3


def test_every_field_and_value_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    rows = [line.split("|") for line in text.partition("## Fields")[2].splitlines() if line.startswith("| `")]
    documented = [name for row in rows for name in re.findall(r"`(\w+)`", row[1])]
    assert documented[: len(fields(Recipe)) - 1] == [f.name for f in fields(Recipe) if f.name != "name"]
    for f in fields(Recipe):
        values = get_args(Recipe.hint(f.name)) if get_origin(Recipe.hint(f.name)) is Literal else ()
        assert all(f"`{value}`" in text for value in values)


def test_the_named_ones_are_documented_with_their_numbers() -> None:
    text = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    for name, pair in RECIPES.items():
        for kind, one in (("small", pair.small), ("photos", pair.photo)):
            length = f"{one.steps} updates" if one.steps else f"{one.epochs} epochs"
            rates = f"{one.learning_rate} | {one.weight_decay}"
            assert f"| `{name}` | {kind} | {length} | {one.batch} | {rates} |" in text
