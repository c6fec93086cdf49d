"""A model says what pictures show, with every kind of picture that there is in memory."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import residua
from judging.small import outcomes, pictures
from residua import UserError
from residua.judging.model import Model
from residua.judging.predicting.prediction import Prediction
from residua.weights.conversion import Asked, convert
from residua.weights.metadata import ClassEntry, Metadata, Preprocessing

PREPROCESSING = Preprocessing(size=8, resize=9, rule="letterbox", interpolation="bicubic")
NAMES = ("cat", "dög", "a\nb")


@pytest.fixture
def model() -> Model:
    """A small model of three classes."""
    torch.manual_seed(0)
    network = residua.create("tiny_resnet", num_classes=3).eval()
    classes = tuple(ClassEntry(id=f"n{place}", name=name) for place, name in enumerate(NAMES, 1))
    return Model(network, Metadata(spec=network.spec, classes=classes, preprocessing=PREPROCESSING))


def warm(model: Model, temperature: float) -> Model:
    return Model(model.network, dataclasses.replace(model.metadata, temperature=temperature))


def test_what_is_saved_is_loaded_ready_to_predict(model: Model, tmp_path: Path) -> None:
    saved = residua.save(warm(model, 2.0), tmp_path / "model.safetensors")
    loaded = residua.load(saved)
    assert isinstance(loaded, Model) and loaded.metadata.temperature == 2.0
    pixels = torch.randint(0, 256, (3, 12, 10), dtype=torch.uint8)
    assert loaded.predict(pixels) == warm(model, 2.0).predict(pixels) != model.predict(pixels)


def test_predictions_are_typed(model: Model) -> None:
    pixels = torch.randint(0, 256, (3, 12, 10), dtype=torch.uint8)
    one = model.predict(pixels)
    assert isinstance(one, Prediction)
    assert one.label in NAMES and one.id == f"n{NAMES.index(one.label) + 1}"
    assert sum(guess.probability for guess in one.top) == pytest.approx(1)
    assert one.top[0].label == one.label and one.probability == max(g.probability for g in one.top)
    many = model.predict([pixels, pixels.numpy().transpose(1, 2, 0)], top=1)
    assert isinstance(many, list) and [p.label for p in many] == [one.label] * 2 and len(many[0].top) == 1
    assert model.predict([]) == []


def test_batches_change_nothing(model: Model) -> None:
    ready = torch.randn(40, 3, 8, 8)
    answers: Any = model.predict(ready)
    assert len(answers) == 40
    assert model.predict(ready[:2].numpy())[1].label == answers[1].label
    small: Any = model.predict(ready, batch=7)
    for one, other in zip(answers, small, strict=True):
        assert one.label == other.label and one.probability == pytest.approx(other.probability, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_probabilities_are_at_the_models_temperature(model: Model, temperature: float) -> None:
    x = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        expected = (model.network(x) / temperature).softmax(1)[0].sort(descending=True).values
    found: Any = warm(model, temperature).predict(x[0])
    assert [guess.probability for guess in found.top] == pytest.approx(expected.tolist(), abs=1e-6)


def test_of_equal_classes_the_first_is_named(model: Model) -> None:
    with torch.no_grad():
        for tensor in model.network.get_submodule("fc").parameters():
            tensor.zero_()
    found: Any = model.predict(torch.randn(3, 8, 8))
    assert [guess.label for guess in found.top] == list(NAMES)


def rigged(model: Model, temperature: float) -> Model:
    """The same with the identity for a network: what goes in are logits."""
    spec = dataclasses.replace(model.network.spec, num_classes=7, in_channels=7)
    network: Any = torch.nn.Flatten()
    network.spec, network.weight = spec, torch.nn.Parameter(torch.zeros(1))
    return Model(network, Metadata(spec=spec, temperature=temperature))


def test_classes_are_ranked_by_what_the_network_said(model: Model) -> None:
    """Not by probabilities, of which a cold temperature makes many 0."""
    logits = torch.tensor([0, 200, 0.1, 50, 60, 3, 70]).view(7, 1, 1)
    found: Any = rigged(model, 0.01).predict(logits)
    assert [guess.id for guess in found.top] == ["1", "6", "4", "3", "5"]


@pytest.mark.parametrize("odd", [5, None, b"model.safetensors"])
def test_only_a_path_is_loaded(odd: Any) -> None:
    for ask in (lambda: residua.load(odd), lambda: residua.explain(odd, "photo.jpg")):
        with pytest.raises(UserError, match=r"model=.* is not valid: valid are text or a path"):
            ask()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_answer_that_is_no_number_is_an_error(model: Model, bad: float) -> None:
    images = torch.zeros(3, 7, 1, 1)
    images[1, 2] = bad
    asked = rigged(model, 1.0)
    with pytest.raises(UserError, match="answer to image 2 of 3 is no number"):
        asked.predict(images)
    with pytest.raises(UserError, match="answer to this image is no number"):
        asked.predict(images[1])
    assert len(asked.predict(images[::2])) == 2


def test_arrays_may_be_turned_round_or_read_only(model: Model) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
    for turned in (pixels[..., ::-1], pixels[::-1], pixels.transpose(1, 0, 2)):
        own = turned.copy()
        turned.flags.writeable = False
        assert model.predict(turned) == model.predict(own)
    two: Any = np.int64(2)
    assert len(model.predict(pixels, top=two).top) == 2


NUMBERS = st.one_of(st.floats(-1e3, 1e3, width=32), st.sampled_from([0.0, 1.0, -1.0]))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(NUMBERS, min_size=7, max_size=7), min_size=1, max_size=4), st.floats(0.01, 100))
def test_prediction_and_evaluation_say_the_same(
    model: Model, rows: list[list[float]], temperature: float
) -> None:
    logits = torch.tensor(rows)
    judged = outcomes(logits, [0] * len(rows), temperature=temperature)
    predicted: Any = rigged(model, temperature).predict(logits[:, :, None, None])
    for place, found in enumerate(predicted):
        assert [int(guess.id) for guess in found.top] == judged.guesses[place].tolist()
        chances = [guess.probability for guess in found.top]
        assert chances == pytest.approx(judged.chances[place].tolist(), abs=1e-6)


def test_without_preprocessing_photos_are_refused_but_not_tensors(model: Model, tmp_path: Path) -> None:
    spec, pixels = model.network.spec, torch.zeros(3, 8, 8, dtype=torch.uint8)
    unknown = Model(model.network, Metadata(spec=spec))
    for photo in (pixels, tmp_path, "photo.jpg", iter(["photo.jpg"])):
        with pytest.raises(UserError, match="nobody said how its input was preprocessed"):
            unknown.predict(photo)
    assert isinstance(unknown.predict(torch.zeros(3, 8, 8)), Prediction)


def test_classes_without_names_are_their_numbers(tmp_path: Path) -> None:
    """A converted file names no classes: it is judged, asked and explained all the same."""
    torch.manual_seed(0)
    weights, file, rule = (tmp_path / name for name in ("weights.pth", "model.safetensors", "rule.json"))
    torch.save(residua.create("cifar_resnet8", num_classes=3).state_dict(), weights)
    rule.write_text(json.dumps(dataclasses.asdict(PREPROCESSING) | {"size": 32, "resize": 32}))
    convert(str(weights), file, Asked(model="cifar_resnet8", preprocess=str(rule)))
    data = pictures(6, classes="012", side=32, channels=3)
    found, first = residua.evaluate(file, data), data.read(0)
    predicted: Any = residua.load(file).predict(first)
    assert predicted.label == predicted.id == found.outcomes.classes[found.outcomes.guesses[0, 0]]
    assert residua.explain(file, first, "2").guess.label == "2"
    convert(str(weights), file, Asked(model="cifar_resnet8"))
    for judge in (lambda: residua.evaluate(file, data), lambda: residua.explain(file, first)):
        with pytest.raises(UserError, match="nobody said how its input was preprocessed"):
            judge()


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (b"photo.jpg", "not a bytes"),
        (7, "not a int"),
        (torch.zeros(8, 8), "3 axes or a batch of 4, not 2"),
        (torch.zeros(3, 8, 8, dtype=torch.int64), "not int64"),
        (torch.zeros(1, 8, 8), "1 channels, the network takes 3"),
        (torch.zeros(8, 8, 3, dtype=torch.uint8).numpy()[..., :1], "takes rgb"),
        ([torch.zeros(3, 8, 8), "photo.jpg"], "not a str"),
        (np.zeros((8, 8), np.uint8), "3 axes or a batch of 4, not 2"),
        (np.zeros((0, 0, 3), np.uint8), r"has pixels, not one of shape \(0, 0, 3\)"),
        (torch.zeros(2, 3, 0, 8), "has pixels"),
        (np.zeros((8, 8, 3), np.uint16), "not uint16"),
        (np.zeros((8, 8, 3), ">f4"), "not >f4"),
        (np.array(["a.png"]), "not <U5"),
        (np.float32(1), "expected a path, a NumPy array or a tensor, not a float32"),
        (Image.new("P", (8, 8)), "expected a path, a NumPy array or a tensor, not a Image"),
        ("", "'' cannot be read: its name is empty"),
    ],
)
def test_images_that_cannot_be(images: Any, sentence: str, model: Model) -> None:
    with pytest.raises(UserError, match=sentence):
        model.predict(images)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"precision": "fp8"}, "unknown precision 'fp8': .*fp32"),
        ({"batch": 0}, "batch=0 is not valid"),
        ({"top": 0}, "top=0 is not valid"),
        ({"top": -3}, "top=-3 is not valid"),
        ({"workers": -1}, "workers=-1 is not valid"),
        ({"top": 2.5}, "top=2.5 is not valid: valid is a whole number"),
        ({"batch": "many"}, "batch='many' is not valid: valid is a whole number"),
        ({"workers": True}, "workers=True is not valid"),
        ({"precision": 5}, "precision=5 is not valid: valid is text"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], sentence: str, model: Model, tmp_path: Path) -> None:
    for images in (tmp_path, torch.zeros(3, 8, 8), [torch.zeros(3, 8, 8)], tmp_path / "photo.jpg"):
        with pytest.raises(UserError, match=sentence):
            model.predict(images, **options)


def test_bf16_is_for_devices_that_multiply_in_it(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    from residua.nets import devices

    x = torch.randn(3, 8, 8)
    monkeypatch.setattr(devices, "multiplies_bf16", lambda _: False)
    with pytest.raises(UserError, match="precision='bf16' is not for this machine"):
        model.predict(x, precision="bf16")
    exact: Any = model.predict(x)
    monkeypatch.setattr(devices, "multiplies_bf16", lambda _: True)
    rough: Any = model.predict(x, precision="bf16")
    assert rough != exact and rough.probability == pytest.approx(exact.probability, abs=0.05)


def test_prediction_leaves_the_network_as_it_was(model: Model) -> None:
    model.network.train()
    before = {key: value.clone() for key, value in model.network.state_dict().items()}
    model.predict(torch.randn(4, 3, 8, 8))
    assert model.network.training
    assert all(torch.equal(before[key], value) for key, value in model.network.state_dict().items())
