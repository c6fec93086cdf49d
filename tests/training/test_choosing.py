"""What nobody chose is chosen from the pictures; what somebody chose is obeyed, or fails in one sentence."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import residua
from residua.data.sources.digits import open_digits
from residua.data.splitting import split
from residua.errors import UserError
from residua.training.asking.wanted import Wanted, minutes, wanted
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
    assert (settings.recipe.name, settings.recipe.augmentation.flip) == ("fast", "none")
    rule = settings.preprocessing
    assert (rule.size, rule.resize, rule.channels) == (8, 8, "gray")
    pixels = np.stack([DATA.read(place, "gray") for place in DATA.places("train")]) / 255
    assert rule.mean[0] == pytest.approx(pixels.mean(), abs=0.02)
    assert rule.std[0] == pytest.approx(pixels.std(), abs=0.02)


def test_photos() -> None:
    settings = settled(PHOTOS)
    assert settings.spec == residua.spec("resnet18", num_classes=10)
    assert (settings.preprocessing.size, settings.preprocessing.resize) == (224, 256)
    assert settings.recipe.augmentation.resized_crop and settings.recipe.augmentation.flip == "random"
    smaller = settled(replace(PHOTOS, side=100)).preprocessing
    assert (smaller.size, smaller.resize) == (96, 109)


def test_few_pictures_get_small_batches_and_many_passes() -> None:
    settings = settled(limit=100)
    assert settings.recipe.batch == 8 and settings.epoch_steps == 12
    assert settings.steps >= LEAST_STEPS
    assert settled(limit=100, epochs=3).steps == 36
    assert settled(limit=100, batch=50).epoch_steps == 2
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


def test_a_later_source_goes_before_an_earlier() -> None:
    asked = wanted("b", {"data": "a", "epochs": 3, "seed": 1, "nesterov": False}, {"epochs": 5})
    assert (asked.data, asked.epochs, asked.seed, asked.changes) == ("b", 5, 1, {"nesterov": False})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"learning_rat": 1}, "unknown setting 'learning_rat': did you mean learning_rate"),
        ({"epoch": 1}, "unknown setting 'epoch': did you mean epochs"),
        ({"augmentation.flop": 1}, "unknown field of the augmentation 'flop': did you mean flip"),
        ({"preprocessing.sise": 1}, "unknown field of the preprocessing 'sise': did you mean size"),
        ({"model": "resnet18", "model.unitz": 1}, "unknown field of resnet18 'unitz': did you mean unit"),
        ({"model": "resnet19"}, "unknown network 'resnet19': did you mean resnet1"),
        ({"recipe": "fats"}, "unknown recipe 'fats': did you mean fast"),
        ({"epochs": "many"}, "epochs='many' is not valid"),
        ({"epochs": 0}, "epochs=0 is not valid"),
        ({"time": -1}, "time=-1 is not valid"),
        ({"time": 1, "epochs": 1}, "two lengths of one training"),
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
    import torch

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
