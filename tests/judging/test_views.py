"""Views: what a network is shown is what the papers show it, and one view is what prediction shows it."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import residua
from judging.small import GRAY, model, pictures
from residua.data.dataset import Data
from residua.data.pictures import Files
from residua.errors import UserError
from residua.judging.model import Model
from residua.judging.showing.views import (
    VIEWS,
    Showing,
    checked_views,
    crop_side,
    in_words,
    scales,
    ten_crops,
)
from residua.weights.metadata import Metadata, Preprocessing
from residua.weights.preprocessing import normalized, preprocess

PHOTO = Preprocessing(size=12, resize=14)


def shown(judged: Model, data: Data, views: str, batch: int = 4, workers: int = 0) -> Tensor:
    rule = judged.preprocessing
    assert rule
    showing = Showing(judged.network, data, rule, checked_views(views), batch, workers, torch.device("cpu"))
    return torch.cat(list(showing.logits()))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Photos of which no two have one shape."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    names = [f"{place}.png" for place in range(5)]
    for place, name in enumerate(names):
        pixels = random.integers(0, 256, (30 - 3 * place, 16 + 4 * place, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return pictures(5, pictures=Files(folder, names), names=names)


def network(rule: Preprocessing = PHOTO) -> Model:
    return model("abc", rule, input_size=rule.size)


def one_by_one(judged: Model, views: list[list[Tensor]]) -> Tensor:
    """Ask single views of each picture, and average the probabilities."""
    assert judged.preprocessing
    rows = []
    with torch.inference_mode():
        for each in views:
            answers = [judged.network(normalized(x, judged.preprocessing)) for x in each]
            rows.append(torch.stack([answer.softmax(1) for answer in answers]).mean((0, 1)))
    return torch.stack(rows)


def whole(data: Data, place: int, side: int) -> Tensor:
    pixels = torch.from_numpy(data.read(place))[None].permute(0, 3, 1, 2)
    height, width = pixels.shape[2:]
    short = min(height, width)
    size = (side * height // short, side * width // short)
    return pixels if size == (height, width) else F.interpolate(pixels, size, mode="bilinear", antialias=True)


def test_one_view_is_what_prediction_sees(photos: Data) -> None:
    judged = network()
    logits = shown(judged, photos, "one")
    predicted = judged.predict([photos.read(place) for place in range(5)], top=3)
    assert isinstance(predicted, list)
    for row, said in zip(logits.softmax(1).tolist(), predicted, strict=True):
        assert max(row) == pytest.approx(said.probability, abs=1e-5)


def test_flip_is_the_mean_of_a_picture_and_its_mirror_image(photos: Data) -> None:
    judged = network()
    squares = [
        preprocess(torch.from_numpy(photos.read(i))[None].permute(0, 3, 1, 2), PHOTO) for i in range(5)
    ]
    with torch.inference_mode():
        both = [(judged.network(x).softmax(1) + judged.network(x.flip(3)).softmax(1)) / 2 for x in squares]
    torch.testing.assert_close(
        shown(judged, photos, "flip").softmax(1), torch.cat(both).double(), check_dtype=False
    )


def test_ten_crops_are_the_papers(photos: Data) -> None:
    judged, views = network(), []
    for place in range(5):
        pixels = whole(photos, place, 14)
        height, width = pixels.shape[2:]
        middle = round((height - 12) / 2), round((width - 12) / 2)
        corners = [(0, 0), (0, width - 12), (height - 12, 0), (height - 12, width - 12), middle]
        crops = [pixels[:, :, y : y + 12, x : x + 12] for y, x in corners]
        views.append([*crops, *(crop.flip(3) for crop in crops)])
    expected = one_by_one(judged, views)
    for batch in (1, 25):
        found = shown(judged, photos, "ten-crop", batch).softmax(1)
        torch.testing.assert_close(found, expected, check_dtype=False)


def test_several_sizes_are_the_papers_in_proportion(photos: Data) -> None:
    assert scales(Preprocessing()) == [224, 256, 384, 480, 640]
    assert scales(PHOTO) == [12, 14, 21, 26, 34]
    judged = network()
    views = [[whole(photos, place, side) for side in scales(PHOTO)] for place in range(5)]
    expected = one_by_one(judged, views)
    found = shown(judged, photos, "multi-scale").softmax(1)
    torch.testing.assert_close(found, expected, check_dtype=False)


def test_crops_are_taken_from_a_picture_that_leaves_room() -> None:
    assert crop_side(Preprocessing()) == 256
    assert crop_side(Preprocessing(size=224, resize=224)) == 256
    assert crop_side(Preprocessing(size=32, resize=32, rule="squash")) == 37
    crops = ten_crops(torch.arange(9.0).view(1, 1, 3, 3), 1)
    assert crops.flatten().tolist() == [0, 2, 6, 8, 4] * 2


@pytest.mark.parametrize("views", VIEWS)
@pytest.mark.parametrize("channels", ["gray", "rgb", "bgr", "rgba"])
def test_any_channels_are_shown_in_any_way(views: str, channels: str) -> None:
    count = {"gray": 1, "rgba": 4}.get(channels, 3)
    mean, std = (0.4,) * count, (0.3,) * count
    rule = Preprocessing.from_json(asdict(GRAY) | {"channels": channels, "mean": mean, "std": std})
    judged, data = model(rule=rule), pictures(5, channels=count)
    threads = shown(judged, data, views, batch=2, workers=2)
    assert threads.shape == (5, 3)
    torch.testing.assert_close(threads, shown(judged, data, views, batch=64), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("views", VIEWS)
def test_a_vgg_is_shown_pictures_as_any_network_is(views: str) -> None:
    rule = replace(GRAY, size=32, resize=32)
    spec = residua.spec(
        "vgg16", convolutions=(1,) * 5, widths=(4,) * 5, hidden=8, num_classes=3, in_channels=1, input_size=32
    )
    judged = Model(residua.create(spec).eval(), Metadata(spec=spec, preprocessing=rule))
    assert shown(judged, pictures(2, side=32), views).isfinite().all()


def test_a_pre_activation_network_too() -> None:
    judged = model(order="full_preactivation")
    assert shown(judged, pictures(3), "ten-crop").shape == (3, 3)


def test_views_are_named_in_words_and_misspelt_ones_refused() -> None:
    assert "256" in in_words("ten-crop", Preprocessing())
    assert "224, 256, 384, 480, 640" in in_words("multi-scale", Preprocessing())
    with pytest.raises(UserError, match="did you mean ten-crop"):
        checked_views("tencrop")
