"""Class folders and folders of parts."""

import os
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest

from residua.data.dataset import PARTS, Data, Skipped
from residua.data.sources.folders import BESIDE, EMPTY, OUTSIDE, open_folder
from residua.data.sources.listing import HIDDEN, LISTED, NO_PICTURE
from residua.errors import UserError


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def opened(root: Path, *names: str) -> Data:
    return open_folder(make(root, *names), "photos")


def told(data: Data) -> dict[str, tuple[str, str]]:
    """Return each picture's part and class."""
    parts = [PARTS[part] if part >= 0 else "" for part in data.parts]
    labels = [data.classes[label] for label in data.labels]
    return dict(zip(data.names, zip(parts, labels, strict=True), strict=True))


def reasons(data: Data) -> dict[str, str]:
    return {one.path: one.reason for one in data.skipped}


def test_class_folders_without_parts(tmp_path: Path) -> None:
    data = opened(tmp_path, "dog/1.jpg", "cat/2.jpg", "cat/kittens/young/3.png")
    assert (data.kind, data.classes, data.groups) == ("folder", ("cat", "dog"), None)
    assert told(data) == {
        "cat/2.jpg": ("", "cat"),
        "cat/kittens/young/3.png": ("", "cat"),
        "dog/1.jpg": ("", "dog"),
    }


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("train", "val", "test"), ("Training", "valid", "TESTING"), ("TRAIN", "Validation", "Test")],
)
def test_parts_by_all_their_names(tmp_path: Path, train: str, val: str, test: str) -> None:
    data = opened(tmp_path, *[f"{part}/{label}/1.jpg" for part in (train, val, test) for label in "ab"])
    assert (data.kind, data.classes) == ("splits", ("a", "b"))
    assert told(data) == {
        f"{folder}/{label}/1.jpg": (part, label)
        for folder, part in ((train, "train"), (val, "val"), (test, "test"))
        for label in "ab"
    }


def test_a_class_that_val_lacks_shifts_no_label(tmp_path: Path) -> None:
    data = opened(tmp_path, *[f"train/{label}/1.jpg" for label in "abc"], "val/c/2.jpg", "val/a/3.jpg")
    assert told(data)["val/c/2.jpg"] == ("val", "c")
    assert data.classes == ("a", "b", "c")


def test_a_class_that_training_lacks_is_an_error_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"class in 'photos'.*'catt': did you mean cat\?"):
        opened(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "val/catt/1.jpg")


def test_without_training_pictures_all_classes_count(tmp_path: Path) -> None:
    assert opened(tmp_path, "val/a/1.jpg", "test/b/1.jpg").classes == ("a", "b")


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_of_macos_are_the_same_class(
    tmp_path: Path, forms: tuple[Literal["NFC", "NFD"], Literal["NFC", "NFD"]]
) -> None:
    one, other = (unicodedata.normalize(form, "café") for form in forms)
    data = opened(tmp_path, f"train/{one}/1.jpg", "train/tea/1.jpg", f"val/{other}/2.jpg")
    assert data.classes == (one, "tea")
    assert told(data)[f"val/{other}/2.jpg"] == ("val", one)
    both = opened(tmp_path / "both", f"{one}/1.jpg", f"{other}/2.jpg", "tea/1.jpg")
    assert len(both.classes) == 2 and both.labels.tolist() == [0, 0, 1]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    data = opened(tmp_path, "bus/1.jpg", "car/1.jpg", "train/1.jpg")
    assert (data.kind, data.classes) == ("folder", ("bus", "car", "train"))


def test_what_may_be_a_part_or_a_class_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="in 'train', which may be a part or a class"):
        opened(tmp_path, "bus/1.jpg", "car/1.jpg", "train/1.jpg", "train/steam/2.jpg")


def test_a_stray_picture_in_the_only_part_does_not_make_it_a_class(tmp_path: Path) -> None:
    data = opened(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "train/stray.jpg")
    assert (data.kind, data.classes) == ("splits", ("a", "b"))
    assert reasons(data) == {"train/stray.jpg": OUTSIDE}


def test_a_stray_picture_does_not_make_a_part_a_class(tmp_path: Path) -> None:
    data = opened(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "train/stray.jpg", "val/a/1.jpg")
    assert data.kind == "splits"
    assert reasons(data) == {"train/stray.jpg": OUTSIDE}


def test_two_names_of_one_part_are_an_error_naming_both(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'val' and 'valid'"):
        opened(tmp_path, "train/a/1.jpg", "valid/a/1.jpg", "val/a/1.jpg")
    with pytest.raises(UserError, match="'Train' and 'train'"):
        opened(tmp_path / "other", "train/a/1.jpg", "Train/a/1.jpg")


def test_nothing_is_passed_over_in_silence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    data = opened(tmp_path, "a/1.jpg", "b/1.jpg", "texts/1.txt", "beside.jpg", "README.md", ".git/config")
    assert data.classes == ("a", "b")
    assert reasons(data) == {
        ".git": HIDDEN,
        "README.md": NO_PICTURE,
        "beside.jpg": OUTSIDE,
        "empty": EMPTY,
        "texts": EMPTY,
        "texts/1.txt": NO_PICTURE,
    }


def test_a_class_folder_that_is_a_link_to_another_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "c").symlink_to("a")
    assert opened(tmp_path, "a/1.jpg", "b/1.jpg").skipped == (Skipped("c", LISTED),)


def test_what_lies_beside_parts_is_in_no_part(tmp_path: Path) -> None:
    names = ["train/a/1.jpg", "train/b/1.jpg", "test/1.jpg", "a/2.jpg", "labels.csv", ".hidden"]
    (tmp_path / "train/c").mkdir(parents=True)
    data = opened(tmp_path, *names)
    assert list(data.names) == ["train/a/1.jpg", "train/b/1.jpg"]
    assert reasons(data) == {
        ".hidden": HIDDEN,
        "a": BESIDE,
        "labels.csv": NO_PICTURE,
        "test": BESIDE,
        "train/c": EMPTY,
    }


def test_links_to_themselves_are_no_folders(tmp_path: Path) -> None:
    for place, name in (("", "train/a/1.jpg"), ("parts", "train/a/1.jpg"), ("classes", "train/1.jpg")):
        make(tmp_path / place, name, name.replace("/a/", "/b/"), "z/1.jpg")
        for link in ("self", "self.jpg", "train/self"):
            (tmp_path / place / link).symlink_to(Path(link).name)
        assert len(open_folder(tmp_path / place, "photos").classes) == 2


def test_parts_made_of_links_to_one_folder_keep_their_pictures(tmp_path: Path) -> None:
    make(tmp_path, "all/a/1.jpg", "all/b/2.jpg", "all/a/3.jpg", "all/b/4.jpg")
    for part, name in (("train", "a/1.jpg"), ("train", "b/2.jpg"), ("val", "a/3.jpg"), ("val", "b/4.jpg")):
        link = tmp_path / part / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../all/{name}")
    data = open_folder(tmp_path, "photos")
    assert Counter(PARTS[part] for part in data.parts) == {"train": 2, "val": 2}


@pytest.mark.parametrize("names", [["a/1.jpg"], ["train/a/1.jpg", "val/a/1.jpg"]])
def test_one_class_is_data_though_not_to_train_on(tmp_path: Path, names: list[str]) -> None:
    data = opened(tmp_path, *names)
    assert (len(data), data.classes) == (len(names), ("a",))


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ([], "holds no pictures: expected class folders"),
        (["notes.txt"], r"no pictures \(1 other things\)"),
        (["1.jpg", "2.jpg"], "2 pictures, but no class folders"),
        (["train/1.jpg", "test/2.jpg"], "in folders of parts, but in no class folders"),
    ],
)
def test_other_shapes_are_one_sentence(tmp_path: Path, names: list[str], fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        opened(tmp_path, *names)


def test_any_bytes_make_a_class(tmp_path: Path) -> None:
    labels = [b"\xff", b"new\nline", b"=cmd", b"<script>", b"y" * 255]
    for label in labels:
        folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + label))
        folder.mkdir()
        (folder / "1.jpg").touch()
    data = open_folder(tmp_path, "photos")
    assert sorted(map(os.fsencode, data.classes)) == sorted(labels)
    assert list(data.names) == [f"{data.classes[label]}/1.jpg" for label in data.labels]
