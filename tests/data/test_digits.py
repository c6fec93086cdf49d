"""The digits that come with Residua."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from residua.data.sources.digits import open_digits, write_folder
from residua.data.sources.recognition import open_data
from residua.errors import UserError


def test_they_are_those_of_scikit_learn() -> None:
    data, (pixels, labels) = open_digits(), load_digits(return_X_y=True)
    assert data.labels.tolist() == labels.tolist()
    stored = data.pictures.uniform
    assert stored is not None
    assert np.array_equal(stored.reshape(-1, 64), np.floor(pixels * 255 / 16))


def test_they_stay_the_same() -> None:
    data = open_digits()
    assert (data.kind, len(data), len(set(data.names)), data.classes) == (
        "digits",
        1797,
        1797,
        (*"0123456789",),
    )
    stored = data.pictures.uniform
    assert stored is not None
    assert hashlib.sha256(stored.tobytes() + data.labels.astype("<i4").tobytes()).hexdigest() == (
        "264b954266f2f23c427551e1013d2bf6aaf03f15020c149899880f4c3994870b"
    )


def test_as_a_folder_they_are_the_same_pictures(tmp_path: Path) -> None:
    write_folder(tmp_path / "digits")
    data, found = open_digits(), open_data(tmp_path / "digits")
    assert found.classes == data.classes
    assert sorted(found.names) == sorted(
        f"{label}/{name}.png" for label, name in zip(data.labels, data.names, strict=True)
    )
    for place in range(0, len(data), 100):
        with Image.open(tmp_path / "digits" / f"{data.labels[place]}/{data.names[place]}.png") as image:
            assert np.array_equal(np.asarray(image), data.read(place, "gray")[..., 0])
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_an_interrupted_folder_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(UserError, match="cannot be written: No space left"):
        write_folder(tmp_path / "digits")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(UserError, match="exists"):
        write_folder(tmp_path)
    with pytest.raises(UserError, match="cannot be written"):
        write_folder(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["link"]
