"""Loading: every picture once, in an order and with pixels that the seed alone decides."""

import gc
import itertools
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from residua.data.augmentation import AUGMENTATIONS, Augmentation
from residua.data.dataset import Data, Needed, Pictures, Pixels
from residua.data.draws import order
from residua.data.facts import BadImageError, Facts
from residua.data.loading import reading
from residua.data.loading.loader import Batch, Loader
from residua.data.loading.reading import read_square
from residua.data.packing.writing import pack
from residua.data.pictures import Arrays, Files
from residua.errors import UserError
from residua.weights.metadata import Preprocessing
from residua.weights.preprocessing import preprocess

RULE = Preprocessing(size=16, resize=16)
GRAY = Preprocessing(size=16, resize=16, channels="gray", mean=(0.5,), std=(0.5,))
PHOTO = AUGMENTATIONS["photo"].edit(brightness=0.3, erasing=0.5)
COUNT = 37
Rule = Literal["crop", "letterbox", "squash"]


def described(names: Sequence[str], pictures: Pictures) -> Data:
    return Data(
        where="photos",
        kind="folder",
        classes=("a", "b", "c"),
        names=names,
        labels=np.arange(len(names), dtype=np.int32) % 3,
        parts=np.zeros(len(names), np.int8),
        pictures=pictures,
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    names = [f"{place}.png" for place in range(COUNT)]
    for place, name in enumerate(names):
        pixels = random.integers(0, 256, (24 + place % 5, 50 - place, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return described(names, Files(folder, names))


@pytest.fixture(scope="module")
def arrays() -> Data:
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 16, 16, 3), np.uint8)
    return described([str(place) for place in range(COUNT)], Arrays(pixels))


@pytest.fixture(params=["files", "arrays"])
def data(request: pytest.FixtureRequest) -> Data:
    found: Data = request.getfixturevalue(request.param)
    return found


def equal(one: Sequence[Batch], other: Sequence[Batch]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a.pixels, b.pixels)
        and torch.equal(a.labels, b.labels)
        and torch.equal(a.places, b.places)
        for a, b in zip(one, other, strict=True)
    )


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("residua")]


@given(count=st.integers(0, COUNT), batch=st.integers(1, 50), shuffle=st.booleans(), drop=st.booleans())
def test_every_picture_comes_once(arrays: Data, count: int, batch: int, shuffle: bool, drop: bool) -> None:
    places = np.arange(COUNT)[::-1][:count]
    loader = Loader(arrays, places, RULE, batch, shuffle=shuffle, drop_last=drop)
    batches = list(loader.epoch(3))
    assert len(batches) == len(loader)
    seen = [place for each in batches for place in each.places.tolist()]
    left_out = count % batch if drop else 0
    assert len(seen) == count - left_out
    assert set(seen) <= set(places.tolist())
    assert len(set(seen)) == len(seen)
    if not shuffle:
        assert seen == places[: len(seen)].tolist()
    assert all(each.labels.tolist() == (each.places % 3).tolist() for each in batches)


def test_the_order_is_that_of_the_seed_and_the_epoch(data: Data) -> None:
    places = np.arange(5, COUNT)
    loader = Loader(data, places, RULE, 8, seed=7, shuffle=True)
    seen = [torch.cat([each.places for each in loader.epoch(epoch)]) for epoch in (0, 1)]
    for epoch in (0, 1):
        assert seen[epoch].tolist() == places[order(7, epoch, len(places)).numpy()].tolist()
    assert not torch.equal(*seen)


def test_an_epoch_goes_on_exactly_where_it_was_left(data: Data) -> None:
    loader = Loader(data, np.arange(COUNT), RULE, 8, seed=1, shuffle=True, augmentation=PHOTO)
    whole = list(loader.epoch(2))
    for start in range(len(loader) + 1):
        assert equal(list(loader.epoch(2, start)), whole[start:])
    with pytest.raises(UserError, match="start=6 is not valid"):
        next(loader.epoch(2, 6))


def test_batches_before_the_start_are_not_read() -> None:
    pictures = Counting()
    loader = Loader(described(["x"] * 100, pictures), np.arange(100), RULE, 10, workers=0)
    list(loader.epoch(0, 9))
    assert pictures.read_places == list(range(90, 100))


def test_the_number_of_workers_leaves_no_trace(files: Data) -> None:
    epochs = [
        list(Loader(files, np.arange(COUNT), RULE, 10, shuffle=True, augmentation=PHOTO, workers=n).epoch(5))
        for n in (0, 1, 4)
    ]
    assert equal(epochs[0], epochs[1])
    assert equal(epochs[0], epochs[2])


@pytest.mark.parametrize("augmentation", [PHOTO, AUGMENTATIONS["cifar"]])
def test_a_picture_does_not_depend_on_its_batch(data: Data, augmentation: Augmentation) -> None:
    def pictures(batch: int, shuffle: bool) -> dict[int, torch.Tensor]:
        loader = Loader(data, np.arange(COUNT), RULE, batch, shuffle=shuffle, augmentation=augmentation)
        return {
            place: pixels
            for each in loader.epoch(4)
            for place, pixels in zip(each.places.tolist(), each.pixels, strict=True)
        }

    few, many = pictures(1, False), pictures(16, True)
    assert all(torch.equal(few[place], many[place]) for place in range(COUNT))


def test_global_random_numbers_are_left_alone(data: Data) -> None:
    state, numbers = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]
    list(Loader(data, np.arange(COUNT), RULE, 8, shuffle=True, augmentation=PHOTO).epoch(0))
    assert torch.equal(state, torch.get_rng_state())
    assert np.random.get_state()[1].tolist() == numbers  # type: ignore[index]


@pytest.mark.parametrize("rule", [RULE, replace(RULE, resize=20), replace(RULE, rule="squash", size=9)])
def test_what_is_not_augmented_is_what_judging_sees(data: Data, rule: Preprocessing) -> None:
    for batch in Loader(data, np.arange(COUNT), rule, 8).epoch(0):
        inputs = batch.inputs()
        for place, pixels, ready in zip(batch.places.tolist(), batch.pixels, inputs, strict=True):
            whole = torch.from_numpy(data.read(place)).permute(2, 0, 1)[None]
            assert torch.equal(pixels, read_square(data, place, rule))
            torch.testing.assert_close(ready, preprocess(whole, rule)[0])


@pytest.mark.parametrize("augmentation", ["none", "flip", "cifar", "photo", "photo-strong"])
def test_pixels_come_as_convolutions_like_them(data: Data, augmentation: str) -> None:
    loader = Loader(data, np.arange(9), RULE, 8, augmentation=AUGMENTATIONS[augmentation])
    for batch in loader.epoch(0):
        assert (batch.pixels.dtype, batch.pixels.shape[1:]) == (torch.uint8, (3, 16, 16))
        assert batch.pixels.is_contiguous(memory_format=torch.channels_last)
        assert batch.inputs().is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("rule", get_args(Rule))
@pytest.mark.parametrize("augmentation", ["none", "flip", "cifar", "photo"])
def test_squares_are_gathered_as_they_are_read(
    tmp_path: Path, arrays: Data, rule: Rule, augmentation: str
) -> None:
    names = [f"{name}.png" for name in arrays.names]
    for place, name in enumerate(names):
        Image.fromarray(arrays.read(place)[:12, :12]).save(tmp_path / name)
    files = described(names, Files(tmp_path, names))
    packed = pack(files, tmp_path / "packed")
    assert packed.pictures.uniform is not None
    how = replace(RULE, rule=rule, size=12, resize=12)
    for chosen in (np.arange(COUNT), np.array([30, 2, 9])):
        read, gathered = (
            list(
                Loader(
                    each.keep(chosen),
                    np.arange(len(chosen)),
                    how,
                    8,
                    augmentation=AUGMENTATIONS[augmentation],
                ).epoch(0)
            )
            for each in (files, packed)
        )
        assert equal(read, gathered)


def test_random_crops_are_the_same_from_files_and_packed(tmp_path: Path, files: Data) -> None:
    packed = pack(files, tmp_path / "packed")
    epochs = [
        list(Loader(each, np.arange(COUNT), RULE, 8, augmentation=PHOTO).epoch(1)) for each in (files, packed)
    ]
    assert equal(*epochs)
    other = Loader(files, np.arange(COUNT), RULE, 8, augmentation=PHOTO).epoch(2)
    assert not torch.equal(epochs[0][0].pixels, next(other).pixels)


def test_random_crops_are_the_same_from_files_and_a_table_whatever_judging_does(
    tmp_path: Path, arrays: Data
) -> None:
    names = [f"{name}.png" for name in arrays.names]
    for place, name in enumerate(names):
        Image.fromarray(arrays.read(place)).save(tmp_path / name)
    files = described(names, Files(tmp_path, names))
    sharp = replace(RULE, interpolation="bicubic")
    epochs = [
        list(Loader(each, np.arange(COUNT), sharp, 8, augmentation=PHOTO).epoch(1))
        for each in (files, arrays)
    ]
    assert equal(*epochs)


def test_pictures_on_the_device_are_those_in_memory(arrays: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    some = arrays.keep(np.array([8, 30, 2, 9, 1]))
    epochs = []
    for room in (0, 10**9):
        monkeypatch.setattr(reading, "_room", lambda _, room=room: room)
        loader = Loader(some, np.arange(5), RULE, 3, shuffle=True, augmentation=PHOTO)
        epochs.append(list(loader.epoch(0)) + list(Loader(some, np.arange(5), RULE, 3).epoch(0)))
    assert equal(*epochs)


@pytest.mark.parametrize("name", ["photo", "photo-paper"])
def test_boxes_are_the_same_wherever_they_are_cut(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 40, 50, 3), np.uint8)
    some = described([str(place) for place in range(9)], Arrays(pixels))
    epochs = []
    for room in (0, 10**9):
        monkeypatch.setattr(reading, "_room", lambda _, room=room: room)
        loader = Loader(some, np.arange(9), RULE, 4, shuffle=True, augmentation=AUGMENTATIONS[name])
        epochs.append(list(loader.epoch(2)))
    assert equal(*epochs)


def test_a_large_photo_is_decoded_small_and_cropped_alike(tmp_path: Path) -> None:
    down, across = np.mgrid[0:1200, 0:1600] / 8
    Image.fromarray(np.stack([down, across, 255 - across], 2).astype(np.uint8)).save(tmp_path / "0.jpg")
    small = described(["0.jpg"], Files(tmp_path, ["0.jpg"]))
    large = pack(small, tmp_path / "packed")
    crops = Augmentation(resized_crop=(0.5, 1.0)), Augmentation(scaled_crop=(1, 1.5))
    for epoch, gentle in itertools.product(range(4), crops):
        one, other = (
            next(Loader(each, np.arange(1), RULE, 1, augmentation=gentle).epoch(epoch)).pixels.int()
            for each in (small, large)
        )
        assert (one - other).abs().max() <= 4


@pytest.mark.parametrize("stored", [1, 3, 4])
def test_channels_are_those_of_the_rule(stored: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 16, 16, stored), np.uint8)
    data = described([str(place) for place in range(9)], Arrays(pixels[..., :stored]))
    four = Preprocessing(size=16, resize=16, channels="rgba", mean=(0.5,) * 4, std=(0.5,) * 4)
    three = Preprocessing(size=16, resize=16)
    for rule in (GRAY, three, four, replace(three, channels="bgr")):
        batch = next(Loader(data, np.arange(9), rule, 9).epoch(0))
        wanted = "rgb" if rule.channels == "bgr" else rule.channels
        for place, square in enumerate(batch.pixels):
            assert (square.permute(1, 2, 0).numpy() == data.read(place, wanted)).all()
    rgb, bgr = (
        next(
            Loader(
                data, np.arange(9), replace(three, channels=channels, mean=(0.0,) * 3, std=(1.0,) * 3), 9
            ).epoch(0)
        )
        for channels in ("rgb", "bgr")
    )
    torch.testing.assert_close(rgb.inputs().flip(1), bgr.inputs())


@pytest.mark.parametrize(("channels", "colour"), [("rgb", (51, 102, 204)), ("bgr", (204, 102, 51))])
def test_what_is_erased_gets_the_mean_colour(
    channels: Literal["rgb", "bgr"], colour: tuple[int, ...]
) -> None:
    rule = replace(RULE, channels=channels, mean=(0.2, 0.4, 0.8))
    data = described(["x"], Arrays(np.zeros((1, 16, 16, 3), np.uint8)))
    loader = Loader(data, np.arange(1), rule, 1, augmentation=Augmentation(erasing=1.0))
    pixels = next(loader.epoch(0)).pixels[0].flatten(1).T.tolist()
    assert set(map(tuple, pixels)) == {(0, 0, 0), colour}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_vanished_is_named(tmp_path: Path, files: Data, workers: int) -> None:
    assert isinstance(files.pictures, Files)
    names = [*files.names[:20], "gone\n.png", *files.names[21:]]
    data = replace(files, pictures=Files(files.pictures.root, names))
    epoch = Loader(data, np.arange(COUNT), RULE, 8, workers=workers).epoch(0)
    assert [len(next(epoch)), len(next(epoch))] == [8, 8]
    with pytest.raises(BadImageError, match=r"'gone\\n.png' cannot be read: no such file"):
        next(epoch)
    assert not threads()


def test_threads_end_with_the_iterator(files: Data) -> None:
    loader = Loader(files, np.arange(COUNT), RULE, 4, workers=3)
    epoch = loader.epoch(0)
    next(epoch)
    assert threads()
    epoch.close()
    assert not threads()
    epoch = loader.epoch(0)
    next(epoch)
    del epoch
    gc.collect()
    assert not threads()
    list(loader.epoch(0))
    assert not threads()


class Counting:
    """Pictures that note what is read."""

    uniform = None

    def __init__(self) -> None:
        self.read_places: list[int] = []

    def read(self, place: int, channels: str = "rgb", needed: Needed | None = None) -> Pixels:  # noqa: ARG002
        self.read_places.append(place)
        return np.zeros((16, 16, 3), np.uint8)

    def examine(self, place: int) -> Facts:
        raise NotImplementedError


def test_reading_ahead_is_bounded() -> None:
    pictures = Counting()
    epoch = Loader(
        described([str(n) for n in range(1000)], pictures), np.arange(1000), RULE, 20, workers=2
    ).epoch(0)
    for taken in range(1, 5):
        next(epoch)
        assert len(pictures.read_places) <= 20 * taken + 2 * 24
    epoch.close()


def test_a_batch_of_none_is_refused(arrays: Data) -> None:
    with pytest.raises(UserError, match="batch=0 is not valid"):
        Loader(arrays, np.arange(3), RULE, 0)
