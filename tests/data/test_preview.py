"""The preview shows exactly the pixels that the network gets."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from residua import UserError
from residua.data.augmentation import Augmentation, augmentation
from residua.data.dataset import UNSPLIT, Data
from residua.data.loading.loader import Loader
from residua.data.pictures import Arrays
from residua.data.preview import preview
from residua.weights.metadata import Preprocessing

NAMES = ("zwölf\n", "=cmd", "\udcff" * 80, "猫")
RULE = Preprocessing(size=20, resize=20)


def data(channels: int = 3) -> Data:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 20, 20, channels), np.uint8)
    return Data(
        where="made",
        kind="packed",
        classes=NAMES,
        names=[str(place) for place in range(12)],
        labels=np.arange(12, dtype=np.int32) // 3,
        parts=np.full(12, UNSPLIT, np.int8),
        pictures=Arrays(pixels),
    )


def shown(path: Path) -> NDArray[np.uint8]:
    return np.array(Image.open(path))


def holds(sheet: NDArray[np.uint8], picture: NDArray[np.uint8]) -> bool:
    """Whether a picture is somewhere in the sheet, each pixel enlarged."""
    zoomed = picture.repeat(6, 0).repeat(6, 1)
    corners = np.argwhere((sheet == zoomed[0, 0]).all(2))
    height, width = zoomed.shape[:2]
    return any(np.array_equal(sheet[y : y + height, x : x + width], zoomed) for y, x in corners)


def test_the_pixels_are_the_networks_own(tmp_path: Path) -> None:
    made, places, path = data(), np.arange(1, 12, dtype=np.int64), tmp_path / "grid.png"
    a = augmentation("cifar", erasing=0.5)
    preview(made, places, RULE, a, 3, path, columns=3, rows=4)
    sheet = shown(path)
    visible = [place for place in places if holds(sheet, made.read(int(place)))]
    assert len(visible) == 4 and len({int(made.labels[place]) for place in visible}) == 4
    for epoch in (0, 1):
        (batch,) = Loader(made, np.array(visible), RULE, 4, seed=3, augmentation=a).epoch(epoch)
        for pixels in batch.pixels.permute(0, 2, 3, 1).numpy():
            assert holds(sheet, pixels)


def test_it_is_the_same_again_and_another_with_another_seed(tmp_path: Path) -> None:
    sheets = []
    for run, seed in enumerate((0, 0, 1)):
        preview(data(), np.arange(12), RULE, augmentation("flip"), seed, tmp_path / f"{run}.png")
        sheets.append((tmp_path / f"{run}.png").read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]


@pytest.mark.parametrize("channels, mean", [("gray", (0.5,)), ("rgba", (0.5,) * 4), ("bgr", (0.5,) * 3)])
def test_every_kind_of_channels_and_mixed_labels(tmp_path: Path, channels: str, mean: tuple[float]) -> None:
    rule = Preprocessing(size=24, resize=24, channels=channels, mean=mean, std=mean)  # type: ignore[arg-type]
    a = Augmentation(mixup=0.5, cutmix=0.5, hue=0.1, randaugment=1)
    path = tmp_path / "grid.png"
    before = torch.get_rng_state()
    preview(data(len(mean)), np.arange(12), rule, a, 0, path, columns=4, rows=20)
    assert torch.get_rng_state().equal(before)
    with Image.open(path) as image:
        assert image.mode == "RGB" and image.width > 4 * 112


def test_what_cannot_be_done_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'made' has no pictures to preview"):
        preview(data(), np.arange(0), RULE, Augmentation(), 0, tmp_path / "grid.png")
    with pytest.raises(UserError, match="cannot be written"):
        preview(data(), np.arange(2), RULE, Augmentation(), 0, tmp_path / "nowhere" / "grid.png")
    assert not list(tmp_path.iterdir())
