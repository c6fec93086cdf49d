"""What nobody chose is chosen from the pictures; what somebody chose is obeyed, or fails in one sentence."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import residua
from residua.data.augmentation import augmentation
from residua.data.sources.digits import open_digits
from residua.data.splitting import split
from residua.errors import UserError
from residua.nets import devices
from residua.training.asking.wanted import FOLLOWING, Wanted, minutes, wanted
from residua.training.recipes import recipe
from residua.training.recipes.description import CONDITIONAL
from residua.training.settings import Settings
from residua.training.settling import beginnings
from residua.training.settling.beginnings import Beginning
from residua.training.settling.choosing import LEAST_STEPS, Pictures, begin_from, check_names, choose
from residua.weights.metadata import Preprocessing

DATA = split(open_digits())
DIGITS = Pictures(DATA, side=8, gray=True)
PHOTOS = Pictures(DATA, side=300, gray=False)  # of any size for all that the choices look at


def settled(pictures: Pictures = DIGITS, **given: Any) -> Settings:
    return choose(wanted("digits", {"device": "cpu"} | given), pictures)


def test_small_gray_pictures() -> None:
    settings = settled()
    assert settings.spec == residua.spec("cifar_resnet20", in_channels=1, input_size=8)
    assert settings.recipe.name == "fast"
    rule = settings.preprocessing
    assert (rule.size, rule.resize, rule.channels) == (8, 8, "gray")
    pixels = np.stack([DATA.read(place, "gray") for place in DATA.places("train")]) / 255
    assert rule.mean[0] == pytest.approx(pixels.mean(), abs=0.02)
    assert rule.std[0] == pytest.approx(pixels.std(), abs=0.02)


@pytest.mark.parametrize("named", [{}, {"recipe": "fast"}])
def test_a_recipes_augmentation_is_its_own_fitted_to_the_pictures(named: dict[str, Any]) -> None:
    own = augmentation("cifar-fast")
    colourful = Pictures(DATA, side=32, gray=False)
    assert settled(colourful, **named).recipe.augmentation == own
    assert settled(replace(colourful, gray=True), **named).recipe.augmentation == own.edit(flip="none")
    assert settled(**named).recipe.augmentation == own.edit(flip="none", crop_padding=1)
    asked: dict[str, Any] = {"augmentation.flip": "random", "augmentation.crop_padding": 3}
    assert settled(**named, **asked).recipe.augmentation == own.edit(flip="random", crop_padding=3)
    assert settled(replace(PHOTOS, gray=True), **named).recipe.augmentation.flip == "none"


def test_photos() -> None:
    settings = settled(PHOTOS)
    assert settings.spec == residua.spec("resnet18", num_classes=10)
    assert (settings.preprocessing.size, settings.preprocessing.resize) == (224, 256)
    assert settings.recipe.augmentation.resized_crop and settings.recipe.augmentation.flip == "random"
    smaller = settled(replace(PHOTOS, side=100)).preprocessing
    assert (smaller.size, smaller.resize) == (96, 109)


@pytest.mark.parametrize(("side", "name"), [(64, "cifar_resnet20"), (80, "cifar_resnet20"), (81, "resnet18")])
def test_what_is_seen_small_is_small(side: int, name: str) -> None:
    """Pictures of 65 to 80 pixels are brought to 64."""
    pictures = replace(PHOTOS, side=side)
    settings = settled(pictures)
    assert settings.spec.name == name and (settings.preprocessing.size <= 64) == pictures.small


def test_few_pictures_get_small_batches_and_many_passes() -> None:
    settings = settled(limit=100)
    assert settings.recipe.batch == 8 and settings.epoch_steps == 12
    sgd = settled(limit=100, optimizer="sgd").recipe
    assert sgd.learning_rate == settled(optimizer="sgd").recipe.learning_rate * 8 / 128
    assert settled(limit=100, learning_rate=0.3).recipe.learning_rate == 0.3
    assert settings.steps >= LEAST_STEPS
    assert settled(limit=100, epochs=3).steps == 36
    assert settled(limit=100, batch=50).epoch_steps == 2
    assert settled(limit=100, accumulate=16).recipe.batch == 16
    with pytest.raises(UserError, match="100 training pictures, fewer than a batch of 101"):
        settled(limit=100, batch=101)


def test_what_was_asked_for_is_obeyed_as_text_too() -> None:
    parts: dict[str, Any] = {
        "augmentation.flip": "alternating",
        "model.shortcut": "scaling",
        "preprocessing.rule": "letterbox",
    }
    settings = settled(
        model="cifar_resnet8",
        size="12",
        epochs="2",
        learning_rate="1e-3",
        milestones="0.5,0.6",
        schedule="steps",
        threads="3",
        workers=0,
        seed="7",
        **parts,
    )
    recipe = settings.recipe
    assert (recipe.epochs, recipe.learning_rate, recipe.milestones) == (2, 1e-3, (0.5, 0.6))
    assert (recipe.augmentation.flip, recipe.augmentation.crop_padding) == ("alternating", 1)
    assert settings.spec == residua.spec("cifar_resnet8", in_channels=1, input_size=12, shortcut="scaling")
    assert (settings.preprocessing.rule, settings.preprocessing.size) == ("letterbox", 12)
    assert (settings.threads, settings.workers, settings.seed) == (3, 0, 7)


def test_a_runs_own_config_repeats_it() -> None:
    parts: dict[str, Any] = {"model.norm": "group"}
    settings = settled(epochs=3, learning_rate=0.01, augmentation="cifar", **parts)
    assert choose(wanted(None, settings.to_dict()), DIGITS) == settings


def test_steps_are_a_length_too() -> None:
    for given in ({"steps": "30"}, {"recipe": {"name": "fast", "steps": 30}}):
        settings = settled(**given)
        assert (settings.steps, settings.recipe.steps, settings.recipe.epochs) == (30, 30, None)


def test_the_length_of_a_later_source_is_the_length() -> None:
    config = settled(epochs=3).to_dict()
    assert choose(wanted(None, config, {"steps": 7}), DIGITS).steps == 7
    asked = wanted(None, config, {"time": 2})
    assert (asked.time, asked.epochs) == (2, None)
    counted = settled(steps=30).to_dict()
    assert choose(wanted(None, counted), DIGITS).steps == 30
    assert choose(wanted(None, counted, {"epochs": 2}), DIGITS).recipe.epochs == 2


def test_nothing_random_is_frozen() -> None:
    with pytest.raises(
        UserError, match=r"freeze=1 in the recipe finetune .* are none \(.*scratch\): name some"
    ):
        choose(wanted("digits", {"recipe": "finetune"}), DIGITS, Beginning("none: learned from scratch"))
    assert settled(recipe="finetune", freeze=0).recipe.name == "finetune"


def test_a_later_source_goes_before_an_earlier() -> None:
    asked = wanted("b", {"data": "a", "epochs": 3, "seed": 1, "nesterov": False}, {"epochs": 5})
    assert (asked.data, asked.epochs, asked.seed, asked.changes) == ("b", 5, 1, {"nesterov": False})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"learning_rat": 1}, "unknown setting 'learning_rat': did you mean learning_rate"),
        ({"epoch": 1}, "unknown setting 'epoch': did you mean epochs or (?!epochs)"),
        ({"augmentation.flop": 1}, "unknown field of the augmentation 'flop': did you mean flip"),
        ({"preprocessing.sise": 1}, "unknown field of the preprocessing 'sise': did you mean size"),
        ({"model": "resnet18", "model.unitz": 1}, "unknown field of resnet18 'unitz': did you mean unit"),
        ({"model": "resnet19"}, "unknown network 'resnet19': did you mean resnet1"),
        ({"recipe": "fats"}, "unknown recipe 'fats': did you mean fast"),
        ({"epochs": "many"}, "epochs='many' is not valid"),
        ({"epochs": 0}, "epochs=0 is not valid"),
        ({"time": -1}, "time=-1 is not valid"),
        ({"time": 1, "epochs": 1}, "epochs and time are two lengths of one training"),
        ({"time": 1, "deterministic": True}, "give --epochs instead of --time"),
        ({"time": 1, "steps": 1}, "steps and time are two lengths of one training"),
        ({"epochs": 1, "recipe": {"steps": 1}}, "epochs and steps are two lengths of one training"),
        ({"epoch_steps": 1}, "unknown setting 'epoch_steps'"),
        ({"model.num_classes": 5}, "model.num_classes cannot be set, for the pictures decide it"),
        ({"model": {"in_channels": 3}}, "model.in_channels cannot be set"),
        ({"val": 1}, "val=1.0 is not valid"),
        ({"device": "gpu"}, "device='gpu' is not valid: it is auto, cpu, cuda"),
        ({"device": "mps"}, "device='mps' is not valid"),
        ({"precision": "fp16"}, "precision='fp16' is not valid"),
        ({"on_nan": "go"}, "on_nan='go' is not valid"),
        ({"batch": "most"}, "batch='most' is not valid"),
    ],
)
def test_mistakes_fail_before_any_picture_is_looked_at(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_names(wanted("digits", given))


@pytest.mark.parametrize("own", ["paper", "fast", "modern"])
@pytest.mark.parametrize(
    "named", [{"optimizer": "adamw"}, {"optimizer": "muon"}, {"optimizer": "sgd"}, {"schedule": "plateau"}]
)
def test_what_another_optimizer_or_schedule_makes_meaningless_goes(own: str, named: dict[str, Any]) -> None:
    """As a run's own config has all fields of its recipe."""
    run = {"recipe": recipe(own, size=32).to_dict()}
    found = choose(wanted("digits", run, named), DIGITS).recipe
    anew = choose(wanted("digits", {"recipe": own}, named), DIGITS).recipe
    for names in FOLLOWING.values():
        assert [getattr(found, name) for name in names] == [getattr(anew, name) for name in names]
    assert {name for names in FOLLOWING.values() for name in names} >= CONDITIONAL.keys()


def test_a_precision_that_a_processor_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "multiplies_bf16", lambda _: False)
    with pytest.raises(UserError, match="does not multiply in it"):
        settled(precision="bf16")


def test_colours_that_the_network_does_not_take_are_a_mistake() -> None:
    gray: dict[str, Any] = {"preprocessing": {"channels": "gray", "mean": [0.5], "std": [0.2]}}
    assert settled(**gray).spec.in_channels == 1
    with pytest.raises(UserError, match=r"channels='gray' is not what this network begins with, 3 channels"):
        choose(wanted("photos", gray), PHOTOS)


def test_no_data_is_a_mistake() -> None:
    with pytest.raises(UserError, match="which data"):
        wanted(None, {})


@pytest.mark.parametrize(
    ("text", "length"), [("20", 20), ("20m", 20), ("1.5h", 90), ("90s", 1.5), ("1h30m", 90), (".5h", 30)]
)
def test_minutes(text: str, length: float) -> None:
    assert minutes(text) == pytest.approx(length)


@pytest.mark.parametrize("text", ["", "m", "20x", "1h-3m", "1 h", "h1"])
def test_no_minutes(text: str) -> None:
    with pytest.raises(UserError, match="write it as 20m"):
        minutes(text)


@pytest.mark.parametrize(
    ("data", "name"),
    [("photos/", "photos"), ("a/b c.csv", "b-c"), ("digits", "digits"), ("a/.x", "x"), ("a/äé", "data")],
)
def test_a_run_is_called_after_its_data(data: str, name: str) -> None:
    assert Wanted(data=data).name == name


def test_weights_bring_their_network_and_preprocessing(tmp_path: Path) -> None:
    rule = Preprocessing(size=16, resize=20, mean=(0.1,) * 3, std=(0.2,) * 3)
    network = residua.create("cifar_resnet8", num_classes=4)
    file = residua.save(network, tmp_path / "mine.safetensors", preprocessing=rule)
    asked = wanted("digits", {"weights": str(file)})
    beginning = begin_from(asked, DIGITS)
    settings = choose(asked, DIGITS, beginning)
    assert settings.preprocessing == rule and settings.recipe.name == "finetune"
    assert settings.spec == residua.spec("cifar_resnet8", input_size=16)
    assert beginning.state is not None and "new one of 10 classes" in beginning.said
    first = next(iter(network.state_dict()))
    assert beginning.state[first].equal(network.state_dict()[first])
    assert begin_from(asked, DIGITS).state["fc.weight"].equal(beginning.state["fc.weight"])  # type: ignore[index]
    halved = choose(replace(asked, size=8), DIGITS, beginning).preprocessing
    assert (halved.size, halved.resize) == (8, 10)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    file = residua.save(residua.create("cifar_resnet8"), tmp_path / "mine.safetensors")
    with pytest.raises(UserError, match=r"is cifar_resnet8.*, not resnet18"):
        begin_from(wanted("digits", {"weights": str(file), "model": "resnet18"}), DIGITS)


def test_few_photos_start_from_published_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(residua.create("resnet18").state_dict(), tmp_path / "published.pth")
    monkeypatch.setattr(beginnings, "fetch", lambda *_, **__: tmp_path / "published.pth")
    asked = wanted("digits", {"device": "cpu"})
    beginning = begin_from(asked, PHOTOS)
    assert beginning.source == "imagenet" and "torchvision" in beginning.said
    settings = choose(asked, PHOTOS, beginning)
    assert settings.recipe.name == "finetune" and settings.preprocessing == Preprocessing()
    assert begin_from(asked, DIGITS).source == "none"
    assert begin_from(replace(asked, recipe="modern"), PHOTOS).source == "none"
    assert begin_from(replace(asked, weights="none"), PHOTOS).source == "none"


def test_without_a_server_photos_start_from_scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> Path:
        raise UserError("no such host.")

    monkeypatch.setattr(beginnings, "fetch", offline)
    beginning = begin_from(wanted("digits", {"device": "cpu"}), PHOTOS)
    assert (beginning.source, beginning.state) == ("none", None)
    assert "from scratch" in beginning.said and "no such host" in beginning.said
    with pytest.raises(UserError, match="no such host"):
        begin_from(wanted("digits", {"device": "cpu", "weights": "imagenet"}), PHOTOS)


def test_an_unpublished_network_starts_from_scratch() -> None:
    asked = wanted("digits", {"model": "plain18"})
    assert begin_from(asked, PHOTOS) == Beginning("none, for nobody publishes any for plain18: from scratch")


PARTS: dict[str, Any] = {
    "model.norm": "group",
    "augmentation.flip": "alternating",
    "preprocessing.mean": [0.4],
}


def test_a_flag_takes_the_place_of_all_that_a_runs_config_describes_by_that_name() -> None:
    config = settled(
        model="cifar_resnet8", size=12, epochs=3, learning_rate=0.01, batch=100, **PARTS
    ).to_dict()
    network = choose(wanted(None, config, {"model": "cifar_resnet14"}), DIGITS)
    assert network.spec == residua.spec("cifar_resnet14", in_channels=1, input_size=12)
    assert (network.recipe.learning_rate, network.preprocessing.mean) == (0.01, (0.4,))
    taught = choose(wanted(None, config, {"recipe": "modern"}), DIGITS)
    own = settled(model="cifar_resnet8", size=12, recipe="modern").recipe
    assert taught.recipe == own and taught.recipe.name == "modern"
    assert (taught.spec.name, taught.preprocessing.size) == ("cifar_resnet8", 12)
    small = choose(wanted(None, config, {"size": 8}), DIGITS)
    assert (small.preprocessing.size, small.preprocessing.resize, small.spec.input_size) == (8, 8, 8)
    assert (small.preprocessing.mean, small.recipe.learning_rate) == ((0.4,), 0.01)


def test_single_lines_of_a_file_stay_beside_a_flag_that_names_the_network_or_the_recipe() -> None:
    lines = {"model": "cifar_resnet8", "model.norm": "group", "recipe": "modern", "learning_rate": 0.01}
    settings = choose(wanted("digits", lines, {"model": "cifar_resnet14", "recipe": "fast"}), DIGITS)
    assert settings.spec == residua.spec("cifar_resnet14", in_channels=1, input_size=8, norm="group")
    assert (settings.recipe.name, settings.recipe.learning_rate) == ("fast", 0.01)


def test_another_length_goes_before_a_recipe_of_many_updates() -> None:
    config = settled(recipe="paper", epochs=3).to_dict()
    assert choose(wanted(None, config), DIGITS).recipe.epochs == 3
    assert wanted(None, {"time": "20m"}, {"data": "digits", "steps": 5}).time is None


@pytest.mark.parametrize("name", ["weights", "time", "on_nan", "device", "model", "recipe", "root", "data"])
def test_an_empty_text_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"{name}='' is not valid"):
        wanted(None, {"data": "digits", name: ""})


def test_time_and_paths_are_read_as_people_write_them() -> None:
    asked = wanted("digits", {"time": "1h30m", "weights": Path("a", "b.pth"), "root": Path("photos")})
    assert (asked.time, asked.weights, asked.root) == (90, str(Path("a", "b.pth")), "photos")


def test_an_optimizer_alone_brings_its_usual_figures() -> None:
    adamw = settled(optimizer="adamw").recipe
    assert (adamw.learning_rate, adamw.weight_decay, adamw.momentum) == (1e-3, 0.02, None)
    assert settled(recipe="modern", optimizer="muon").recipe.learning_rate == 0.02
    sgd = settled(optimizer="sgd", limit=2000).recipe
    assert (sgd.learning_rate, sgd.weight_decay, sgd.momentum) == (0.1, 3e-4, 0.9)
    given = settled(optimizer="adamw", learning_rate=0.5, weight_decay=0.0).recipe
    assert (given.learning_rate, given.weight_decay) == (0.5, 0.0)


def test_balanced_passes_of_few_pictures() -> None:
    with pytest.raises(UserError, match="10 training pictures in a balanced pass, fewer than a batch of 16"):
        settled(sampling="balanced", limit=19, batch=16)
    settings = settled(sampling="balanced", limit=19)
    assert (settings.recipe.batch, settings.epoch_steps) == (8, 1)


@pytest.mark.parametrize(
    ("given", "freeze"),
    [({"epochs": 1}, 0), ({"epochs": 2}, 1), ({"steps": 9}, 0), ({"epochs": 1, "freeze": 1}, 1)],
)
def test_not_the_classifier_alone_learns_unless_that_is_asked_for(given: dict[str, Any], freeze: int) -> None:
    beginning = Beginning(
        "mine", "mine", residua.spec("cifar_resnet8", in_channels=1), {"any": torch.zeros(1)}
    )
    asked = wanted("digits", {"device": "cpu", "recipe": "finetune"} | given)
    assert choose(asked, DIGITS, beginning).recipe.freeze == freeze
