"""Whatever a user names is opened by what it is, or refused in one sentence."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from residua.data.packing.writing import pack
from residua.data.sources.recognition import open_data
from residua.errors import UserError


def photos(root: Path) -> Path:
    for name in ("a/1.jpg", "b/2.jpg"):
        path = root / name
        path.parent.mkdir(parents=True)
        path.touch()
    return root


def test_a_folder_and_a_table(tmp_path: Path) -> None:
    assert open_data(photos(tmp_path / "photos")).kind == "folder"
    table = tmp_path / "photos.CSV"
    table.write_text("path,label\na/1.jpg,a\nb/2.jpg,b\n")
    data = open_data(str(table), root=tmp_path / "photos")
    assert (data.kind, data.where, data.names) == ("csv", str(table), ["a/1.jpg", "b/2.jpg"])


def test_a_packed_file(tmp_path: Path) -> None:
    pack(open_data("digits").keep(np.arange(20)), tmp_path / "some digits")
    data = open_data(tmp_path / "some digits")
    assert (data.kind, len(data), data.classes) == ("packed", 20, (*"0123456789",))


def test_a_name_goes_before_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photos(tmp_path / "digits")
    assert open_data("digits").kind == "digits"
    assert open_data("./digits").kind == "folder"


def test_a_folder_that_may_not_be_searched_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refused)
    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(UserError, match=f"{tmp_path}' cannot be listed: Permission denied"):
        open_data(tmp_path)


@pytest.mark.parametrize("name", ["", "none", "digit", "a\0b", "x" * 300, "none/photos.csv"])
def test_what_is_not_there_is_one_sentence(name: str) -> None:
    with pytest.raises(UserError, match="expected a folder of class folders, a CSV"):
        open_data(name)


def test_other_things_are_one_sentence(tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as packed:
        packed.write(tmp_path / "photos/a/1.jpg", "a/1.jpg")
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        tar.add(tmp_path / "photos")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "empty").touch()
    for name in ("photos.zip", "photos.tar", "photo.jpg", "empty"):
        with pytest.raises(UserError, match="unpack archives of pictures"):
            open_data(tmp_path / name)
    with pytest.raises(UserError, match="neither a file nor a folder"):
        open_data("/dev/null")


@pytest.mark.parametrize("name", ["digits", "photos", "none"])
def test_a_root_is_for_a_table_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    photos(tmp_path / "photos")
    with pytest.raises(UserError, match="is for a CSV"):
        open_data(name, root=tmp_path)


def test_finding_data_loads_no_torch(tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    code = (
        "import sys; from residua.data.sources.recognition import open_data;"
        "from residua.data.splitting import split;"
        "split(open_data(sys.argv[1])); split(open_data('digits')); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "photos")], check=True)
