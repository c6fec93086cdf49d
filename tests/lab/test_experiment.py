from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.sweeping import TINY, experiment
from residua.errors import UserError
from residua.lab.catalogue import NAMES, experiments, write_example
from residua.lab.catalogue import experiment as named
from residua.lab.experiment import MEASUREMENTS, Experiment
from residua.lab.measurements import ERROR, HOW
from residua.lab.scales import SCALES
from residua.nets.zoo import spec
from residua.training.asking.configfile import write_config


def test_depths_stand_for_each_of_the_scale() -> None:
    made = experiment(
        networks={"plain-{depth}": "cifar_plain{depth}", "one": "cifar_resnet8"},
        scales={
            "quick": {"depths": [8, 14]},
            "small": {"depths": 20},
            "paper": {"depths": [8], "without": ["one"]},
        },
        claims=[],
    )
    assert [member.label for member in made.members("quick")] == ["plain-8", "plain-14", "one"]
    assert [member.label for member in made.members("small")] == ["plain-20", "one"]
    assert [member.label for member in made.members("paper")] == ["plain-8"]
    assert made.members("quick")[1].spec == spec("cifar_plain14")


def test_a_network_may_have_fields_and_a_recipe_of_its_own() -> None:
    network = {"network": "cifar_resnet{small}", "unit": "bottleneck", "recipe": {"batch": 16}}
    made = experiment(networks={"a": network}, scales={"quick": {"depths": {"small": 20}}}, claims=[])
    (member,) = made.members("quick")
    assert member.spec == spec("cifar_resnet20", unit="bottleneck")
    assert member.changes == {"batch": 16}


def test_the_recipe_of_the_scale_goes_before_that_of_the_experiment() -> None:
    made = experiment(recipe={"batch": 8, "weight_decay": 0.0}, scales={"quick": {"changes": {"batch": 16}}})
    quick = made.scale("quick").changes
    assert quick == {**SCALES["quick"].changes, "batch": 16, "weight_decay": 0.0}
    assert made.scale("small").changes == {**SCALES["small"].changes, "batch": 8, "weight_decay": 0.0}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"networkz": {}}, "unknown field of an experiment 'networkz': did you mean networks?"),
        ({"networks": {}}, "has no networks"),
        ({"networks": {"a": "cifar_resnet9"}}, "cifar_resnet9 does not exist"),
        ({"networks": {"a": {**TINY, "shortcutt": "dropout"}}}, "did you mean shortcut"),
        ({"networks": {"a": "cifar_resnet{depth}"}}, "say under scales, quick, depths"),
        ({"networks": {"a{": "cifar_resnet8"}}, "'a{' is not valid"),
        ({"networks": {"a": {"network": "cifar_resnet{depth}"}}, "scales": {"small": {"depths": [20, 32]}}},
         "two networks of 'mine' are called 'a'"),
        ({"recipe": {"learning_rte": 1}}, "unknown setting 'learning_rte': did you mean learning_rate"),
        ({"measurements": ["lesion"]}, "unknown measurement 'lesion': did you mean lesions or"),
        ({"scales": {"quik": {}}}, "unknown scale 'quik': did you mean quick?"),
        ({"scales": {"quick": {"epoch": 1}}}, "unknown field of a scale 'epoch': did you mean epochs or"),
        ({"scales": {"quick": {"epochs": 0}}}, "epochs=0 is not valid"),
        ({"scales": {"quick": {"depths": ["x"]}}}, "depths=['x'] is not valid"),
        ({"scales": {"quick": {"without": ["c"]}}}, "unknown network of 'mine' 'c'"),
        ({"scales": {"quick": {"recipe": "papr"}}}, "unknown recipe 'papr': did you mean paper?"),
        ({"scales": {"quick": {"depths": {name: [8, 14] * 6 for name in "abcdefghi"}}},
          "networks": {"a": "cifar_resnet{a}{b}{c}{d}{e}{f}{g}{h}{i}"}},
         "a, b, c, d, e, f, g, h, i make more than 1000 networks of one: name fewer depths"),
        ({"scales": {"quick": {"depths": []}}, "networks": {"a": "cifar_resnet{depth}"}},
         "has no network at scale quick"),
        ({"scales": {"quick": {"without": ["a", "b"]}}}, "has no network at scale quick"),
        ({"scales": {"quick": {"changes": {"packed": 8}}}}, "packed is no part of a recipe"),
        ({"recipe": {"threads": 2}}, "threads is no part of a recipe"),
        ({"recipe": {"model.shortcut": "dropout"}}, "model.shortcut is no part of a recipe"),
        ({"recipe": {"preprocessing.size": 8}}, "preprocessing.size is no part of a recipe"),
        ({"recipe": {"seed": 3}}, "unknown setting 'seed'"),
        ({"recipe": {"learning_rate": -1}}, "learning_rate=-1.0 is not valid"),
        ({"recipe": {"epochs": 0}}, "epochs=0 is not valid"),
        ({"networks": {"a": {**TINY, "recipe": {"report": True}}}}, "report is no part of a recipe"),
        ({"networks": {"a": {**TINY, "recipe": {"batch": 0}}}}, "batch=0 is not valid"),
        ({"networks": {"a": {**TINY, "input_size": 64}}}, "input_size of 'a' is what the pictures make it"),
        ({"networks": {"a": {**TINY, "num_classes": 3}}}, "num_classes of 'a' is what the pictures make it"),
        ({"networks": {"": TINY}}, "'' of 'mine' labels no network"),
        ({"networks": {"a\nb": TINY}}, "labels no network"),
        ({"networks": {"a\0": TINY}}, "labels no network"),
        ({"name": "a/b"}, "name='a/b' is not valid"),
        ({"claims": [{"id": "x"}]}, "has no says"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_in_a_sentence(values: dict[str, Any], sentence: str) -> None:
    given = {"name": "mine", "title": "Mine", "networks": {"a": TINY, "b": TINY}, "scales": {"quick": {}}}
    with pytest.raises(UserError) as error:
        Experiment.read(given | values)
    assert sentence in str(error.value)


WORDS = st.sampled_from(
    ["a", "network", "depth", "cifar_resnet{depth}", "cifar_plain8", "quick", "epochs", "{", "less"]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 70) | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.integers(0, 3), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["question", "recipe", "measurements", "scales", "claims", "networks", "trained", "name"]
)


@settings(max_examples=400)
@given(st.dictionaries(KEYS, ANYTHING, max_size=4))
def test_whatever_a_file_holds_is_an_experiment_or_one_sentence(values: dict[str, Any]) -> None:
    whole = {"name": "mine", "title": "Mine", "networks": {"a": "cifar_resnet8"}, **values}
    try:
        made = Experiment.read(whole)
        made.members("quick")
    except UserError as error:
        assert "\n" not in str(error)


def test_the_experiments_that_come_along_are_whole_at_every_scale() -> None:
    assert [each.name for each in experiments()] == list(NAMES)
    for each in experiments():
        assert each.question.endswith("?")
        for scale in SCALES:
            assert each.members(scale)


@pytest.mark.parametrize("scale", SCALES)
def test_networks_without_norms_have_a_recipe_of_their_own(scale: str) -> None:
    """With the rate of batch norm they learn nothing, and every claim of batch norm would hold."""
    made = named("norm")
    for member in made.members(scale):
        assert ({"learning_rate", "clip"} <= member.changes.keys()) is (member.spec.norm == "none")
    assert ("plain, without" in [member.label for member in made.members(scale)]) is (scale != "quick")


def test_every_measurement_can_be_made() -> None:
    assert {*MEASUREMENTS, ERROR} == HOW.keys()


def test_the_example_is_an_experiment_and_overwrites_nothing(tmp_path: Path) -> None:
    path = write_example("mine", tmp_path)
    made = named(path)
    assert made.name == "mine"
    assert [member.label for member in made.members("quick")] == ["all units", "some dropped"]
    with pytest.raises(UserError, match="exists, and is not overwritten"):
        write_example("mine", tmp_path)
    (tmp_path / "link.yaml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="exists, and is not overwritten"):
        write_example("link", tmp_path)
    with pytest.raises(UserError, match="comes with Residua"):
        write_example("norm", tmp_path)
    with pytest.raises(UserError, match="folder of all trials"):
        write_example("trials", tmp_path)


@pytest.mark.parametrize("name", ["123", "yes", "1e4", "null", "ours.yml"])
def test_an_example_may_be_called_whatever_a_folder_may(tmp_path: Path, name: str) -> None:
    path = write_example(name, tmp_path)
    assert path.name == (name if name == "ours.yml" else f"{name}.yaml")
    assert named(path).name == path.stem


@pytest.mark.parametrize("name", ["a b", "", "{x}", "a: b"])
def test_an_example_of_no_name_is_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="is not valid: use letters"):
        write_example(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_experiment_takes_no_others_folder(tmp_path: Path) -> None:
    path = tmp_path / "norm.yaml"
    write_config(path, {"title": "Mine", "networks": {"a": TINY}, "scales": {"quick": {}}})
    with pytest.raises(UserError, match="'norm' comes with Residua: give your experiment another name"):
        named(path)
    assert named(named("norm")).name == "norm"
    with pytest.raises(UserError, match="'trials' is the folder of all trials"):
        named(experiment(name="trials"))


def test_augmentation_is_part_of_a_recipe() -> None:
    made = experiment(recipe={"augmentation.flip": "none", "augmentation": "cifar-fast"})
    assert made.scale("quick").changes["augmentation.flip"] == "none"


@pytest.mark.parametrize("label", ["a {depth:30000000000}", "a {depth!r:>9}"])
def test_a_label_says_nothing_of_its_width(label: str) -> None:
    """It would be as wide as it says: more than any memory holds."""
    with pytest.raises(UserError, match="cannot be filled in"):
        experiment(networks={label: "cifar_resnet{depth}"}, scales={"quick": {"depths": [8]}}, claims=[])


def test_an_unknown_name_fails_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown experiment 'lesion': did you mean lesions"):
        named("lesion")
    with pytest.raises(UserError, match="cannot be read"):
        named(tmp_path / "none.yaml")
