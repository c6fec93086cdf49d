"""Heat maps are Grad-CAM, held against CAM and against derivatives, and lie where the network looked."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import residua
from residua import UserError
from residua.judging.explaining.colours import coloured, overlay, plain
from residua.judging.explaining.explanation import class_number, explain, heatmap
from residua.judging.explaining.illustrating import EDGE, GAP, LINE, drawn
from residua.judging.model import Model
from residua.weights.metadata import ClassEntry, Metadata, Preprocessing
from residua.weights.preprocessing import preprocess, seen_box, squared

SQUASH = Preprocessing(size=32, rule="squash")
SMALL: dict[str, Any] = {"widths": (4, 8, 8, 8), "num_classes": 3}


def made(name: str, rule: Preprocessing = SQUASH, **fields: Any) -> Model:
    torch.manual_seed(0)
    network = residua.create(name, **fields).eval()
    with torch.no_grad():
        for norm in network.modules():  # trained statistics are never the initial ones
            if isinstance(norm, torch.nn.BatchNorm2d) and norm.running_mean is not None:
                norm.running_mean.normal_(0, 0.1)
    names = [f"class {place}" for place in range(network.spec.num_classes)]
    classes = tuple(ClassEntry(id=f"n{place}", name=name) for place, name in enumerate(names))
    return Model(network, Metadata(spec=network.spec, classes=classes, preprocessing=rule))


def pixels(height: int = 32, width: int = 32, channels: int = 3) -> Any:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def as_input(picture: Any, rule: Preprocessing) -> torch.Tensor:
    return preprocess(torch.from_numpy(picture)[None].permute(0, 3, 1, 2), rule)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("resnet18", {"widths": (4, 8, 8, 8)}),
        ("preresnet18", {"widths": (4, 8, 8, 8)}),
        ("resnet18", {"widths": (4, 8, 8, 8), "order": "relu_before_addition"}),
        ("resnet18", {"widths": (4, 8, 8, 8), "output_stride": 8}),
        ("cifar_preresnet8", {}),
        ("cifar_highway8", {}),
    ],
)
@pytest.mark.parametrize("label", [0, 2])
def test_it_is_cam_for_networks_that_average(name: str, fields: dict[str, Any], label: int) -> None:
    """With a global average before the classifier it is CAM: the classifier's weights times the maps."""
    model, picture = made(name, num_classes=3, **fields), pixels(64, 64)
    rule = Preprocessing(size=64, rule="squash")
    model = Model(model.network, Metadata(spec=model.network.spec, classes=model.classes, preprocessing=rule))
    network: Any = model.network
    with torch.no_grad():
        maps = network.features(as_input(picture, rule))[-1].output[0]
        cam = torch.einsum("c,chw->hw", network.fc.weight[label], maps).relu()
    expected = torch.nn.functional.interpolate(
        (cam / cam.max().clamp(min=1e-30))[None, None], (64, 64), mode="bilinear", align_corners=False
    )
    heat = heatmap(model, picture, label)
    assert heat.dtype == np.float32 and heat.shape == (64, 64)
    np.testing.assert_allclose(heat, expected[0, 0].numpy(), atol=1e-5)


def test_of_a_vgg_it_is_the_gradient_at_the_last_convolution() -> None:
    rule = Preprocessing(size=64, rule="squash")
    model = made("vgg16", rule, hidden=8, widths=(2, 2, 4, 4, 4), num_classes=3)
    picture, network = pixels(64, 64), model.network
    assert isinstance(network, residua.Vgg)
    x = as_input(picture, rule)
    maps = network.features[:-1](x).detach().requires_grad_()
    pool = network.get_submodule("avgpool")
    rest = torch.nn.Sequential(network.features[-1], pool, torch.nn.Flatten(), network.classifier)
    rest(maps)[0, 1].backward()
    assert maps.grad is not None
    cells = (maps.grad.mean((2, 3), keepdim=True) * maps).sum(1)[0].relu().detach()
    expected = torch.nn.functional.interpolate((cells / cells.max())[None, None], (64, 64), mode="bilinear")
    np.testing.assert_allclose(heatmap(model, picture, 1), expected[0, 0].numpy(), atol=1e-5)


def test_nothing_is_left_behind() -> None:
    model = made("resnet18", **SMALL)
    model.network.train()
    before = {key: value.clone() for key, value in model.network.state_dict().items()}
    for _ in range(2):
        with torch.inference_mode():  # whoever calls it
            heatmap(model, pixels())
    assert torch.is_grad_enabled() and model.network.training
    assert all(torch.equal(before[key], value) for key, value in model.network.state_dict().items())
    assert all(parameter.grad is None for parameter in model.network.parameters())
    assert not any(module._forward_pre_hooks for module in model.network.modules())


def rules() -> st.SearchStrategy[Preprocessing]:
    return st.builds(
        lambda rule, size, more: Preprocessing(
            size=size, resize=size + more, rule=rule, interpolation="nearest"
        ),
        st.sampled_from(("crop", "letterbox", "squash")),
        st.integers(8, 40),
        st.integers(0, 12),
    )


@settings(max_examples=60)
@given(rules(), st.integers(3, 90), st.integers(3, 90), st.booleans())
def test_the_square_lies_where_its_pixels_come_from(
    rule: Preprocessing, height: int, width: int, long: bool
) -> None:
    """A picture that holds its own coordinates tells where each pixel of the square was."""
    height *= 10 if long else 1  # of a very long one only the middle is used
    rows, columns = np.mgrid[:height, :width]
    left, top, right, bottom = seen_box(width, height, rule)
    for axis, begin, end, side in ((rows, top, bottom, height), (columns, left, right, width)):
        part = axis * 250 // side  # fits 8 bits
        square = squared(torch.from_numpy(part.astype(np.uint8))[None, None].repeat(1, 3, 1, 1), rule)[
            0, 0
        ].numpy()
        line = square[:, (rule.size - 1) // 2] if axis is rows else square[(rule.size - 1) // 2]
        place = begin + (np.arange(rule.size) + 0.5) * (end - begin) / rule.size
        inside = (place > 0) & (place < side)
        found = (line[inside].astype(float) + 0.5) * side / 250
        step = max(1.0, (end - begin) / rule.size, side / 250)
        assert np.abs(found - place[inside]).max() <= 1.5 * step


@pytest.mark.parametrize(
    ("rule", "shape", "dark"),
    [
        (Preprocessing(size=32, resize=64), (64, 64), np.s_[:16]),  # the crop is the middle
        (Preprocessing(size=32, resize=32), (32, 96), np.s_[:, :32]),
        (Preprocessing(size=32, resize=32), (96, 32), np.s_[64:]),
    ],
)
def test_where_nothing_was_seen_it_is_cold(rule: Preprocessing, shape: tuple[int, int], dark: Any) -> None:
    model, picture = made("resnet18", rule, **SMALL), pixels(*shape)
    heats = [heatmap(model, picture, label) for label in range(3)]
    assert any(heat.max() > 0 for heat in heats)
    for heat in heats:
        assert heat.shape == shape and heat.min() >= 0 and heat.max() <= 1
        assert not heat[dark].any()


def test_a_letterbox_shows_all_of_the_picture() -> None:
    model = made("resnet18", Preprocessing(size=64, rule="letterbox"), output_stride=8, **SMALL)
    found = explain(model, pixels(20, 60))
    assert list(found.seen) == pytest.approx([0, -20, 60, 40], abs=1) and found.cells == (8, 8)
    assert found.heat.shape == (20, 60)


def test_classes_are_found_by_name_id_and_number() -> None:
    model = made("resnet18", **SMALL)
    labels: list[Any] = ["class 1", "n1", 1, np.int64(1)]
    assert [class_number(model, label) for label in labels] == [1, 1, 1, 1]
    for odd in (True, 1.0, [1]):
        with pytest.raises(UserError, match=r"label=.* is not valid: valid are a whole number"):
            explain(model, pixels(), odd)  # type: ignore[arg-type]
    for label in ("class 7", 3, -1):
        with pytest.raises(
            UserError, match=r"unknown class .*did you mean|unknown class .*valid are class 0"
        ):
            heatmap(model, pixels(), label)
    twice = tuple(ClassEntry(id=f"n{place}", name="crane") for place in range(3))
    spec = model.network.spec
    with pytest.raises(UserError, match=r"'crane' may be n0 \(crane\) or n1 .*: name it by its id"):
        class_number(Model(model.network, Metadata(spec=spec, classes=twice)), "crane")
    nameless = Model(model.network, Metadata(spec=spec))
    assert class_number(nameless, "2") == class_number(nameless, 2) == 2
    with pytest.raises(UserError, match="unknown class 'crane': valid are 0, 1, 2"):
        class_number(nameless, "crane")


@pytest.mark.parametrize(
    ("image", "described"),
    [
        (np.zeros((8, 8, 3), np.float32), r"float32 of shape \(8, 8, 3\)"),
        (np.zeros((8, 8, 3), np.uint16), "uint16"),
        (np.zeros((8, 8), np.uint8), r"uint8 of shape \(8, 8\)"),
        (np.zeros((0, 0, 3), np.uint8), r"uint8 of shape \(0, 0, 3\)"),
        (Image.new("RGB", (8, 8)), "a Image"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "uint8 of shape"),
    ],
)
def test_only_8_bit_pixels_are_explained(image: Any, described: str) -> None:
    with pytest.raises(UserError, match=f"expected a path, or 8-bit pixels as an array .*, not {described}"):
        explain(made("resnet18", **SMALL), image)


def test_of_equal_classes_the_first_is_looked_for_as_it_is_predicted() -> None:
    model = made("resnet18", **SMALL | {"num_classes": 40})
    with torch.no_grad():
        for tensor in model.network.get_submodule("fc").parameters():
            tensor.zero_()
    found = explain(model, pixels())
    assert found.guess == found.prediction.top[0] and found.guess.label == "class 0"


def test_a_network_whose_answer_is_no_number_is_not_explained() -> None:
    model = made("resnet18", **SMALL)
    with torch.no_grad():
        next(model.network.get_submodule("fc").parameters()).fill_(torch.nan)
    for label in (None, 1):
        with pytest.raises(UserError, match="answer to this picture is no number"):
            explain(model, pixels(), label)


def test_an_explanation_says_what_prediction_says(tmp_path: Path) -> None:
    model = made("resnet18", **SMALL)
    file = tmp_path / "photo.png"
    Image.fromarray(pixels(40, 50)).save(file)
    found = explain(model, file, "class 2")
    predicted: Any = model.predict(file)
    assert found.prediction.label == predicted.label == found.prediction.top[0].label
    assert found.prediction.probability == pytest.approx(predicted.probability, abs=1e-6)
    assert found.guess.label == "class 2"
    assert found.guess.probability == pytest.approx(
        next(guess.probability for guess in predicted.top if guess.label == "class 2"), abs=1e-6
    )
    np.testing.assert_array_equal(found.heat, heatmap(model, found.pixels, 2))
    path = residua.save(model, tmp_path / "model.safetensors")
    np.testing.assert_array_equal(residua.explain(path, str(file), "n2").heat, found.heat)


def test_photos_ask_for_what_makes_an_input() -> None:
    model = made("resnet18", **SMALL)
    with pytest.raises(UserError, match="nobody said how"):
        explain(Model(model.network, Metadata(spec=model.network.spec)), pixels())
    with pytest.raises(UserError, match="takes rgb"):
        explain(model, pixels(channels=1))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_heat_is_laid_over_the_picture(channels: int) -> None:
    picture = pixels(20, 30, channels)
    heat = np.zeros((20, 30), np.float32)
    heat[5:10] = 1
    laid = overlay(picture, heat)
    assert laid.shape == (20, 30, 3) and laid.dtype == np.uint8
    gray = plain(picture) @ np.array((0.299, 0.587, 0.114), np.float32)
    np.testing.assert_allclose(
        laid[0], gray[0, :, None].repeat(3, 1), atol=0.51
    )  # cold: the picture, in gray
    assert (laid[5:10, :, 0].astype(int) - laid[5:10, :, 2]).min() > 20  # hot: yellow
    faded = overlay(picture, heat, (0, 0, 15, 20))
    np.testing.assert_array_equal(faded[:, :15], laid[:, :15])
    assert (faded[:, 15:] >= laid[:, 15:]).all() and faded[:, 15:].min() >= 180


def test_colours_grow_brighter_for_every_eye() -> None:
    light = coloured(np.linspace(0, 1, 101, dtype=np.float32)) @ np.array((0.2126, 0.7152, 0.0722))
    assert (np.diff(light) > 0).all()


@pytest.mark.parametrize(("height", "width"), [(8, 8), (400, 20), (30, 900)])
def test_its_picture_holds_everything(height: int, width: int, tmp_path: Path) -> None:
    model = made("resnet18", Preprocessing(size=32, resize=40), **SMALL)
    found = explain(model, pixels(height, width))
    picture = drawn(found)
    assert max(picture.size) < 1100 and picture.mode == "RGB"
    saved = found.save(tmp_path / "out.png")
    with Image.open(saved) as written:
        np.testing.assert_array_equal(np.asarray(written), np.asarray(picture))
    with pytest.raises(UserError, match=r"must end in \.png"):
        found.save(tmp_path / "out.jpg")


def test_names_of_classes_stay_in_their_columns() -> None:
    model = made("resnet18", **SMALL)
    names = ("a\x1b[31m\n" * 50, "\u202egnp", "山" * 90)
    classes = tuple(ClassEntry(id=str(place), name=name) for place, name in enumerate(names))
    odd = Model(model.network, Metadata(spec=model.network.spec, classes=classes, preprocessing=SQUASH))
    picture = pixels()
    for label in names:
        found = explain(odd, picture, label)
        sheet = np.asarray(drawn(found))
        column = sheet.shape[1] // 2 - EDGE - GAP // 2
        text = sheet[-EDGE - 4 * LINE :]
        inked = np.any(text < 255, axis=(0, 2))
        between = slice(EDGE + column, EDGE + column + GAP)
        assert inked[EDGE : EDGE + column].any() and inked[EDGE + column + GAP : -EDGE].any()
        assert not inked[between].any() and not inked[-EDGE:].any()
