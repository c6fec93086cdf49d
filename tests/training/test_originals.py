"""Pictures that become others while a training lasts."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from residua.data.checking.checked import check
from residua.data.dataset import Data
from residua.data.packing.writing import pack
from residua.data.sources.digits import open_digits, write_folder
from residua.data.sources.recognition import open_data
from residua.errors import UserError
from residua.training.pictures.originals import NAME, as_they_were, remember
from residua.training.running import resume, train
from residua.training.telling.watching import Watch

QUICK: dict[str, Any] = {
    "model": "tiny_resnet",
    "device": "cpu",
    "deterministic": True,
    "limit": 64,
    "batch": 32,
    "epochs": 2,
    "threads": 1,
}


pytestmark = pytest.mark.usefixtures("own_folders")


class Stop(Watch):
    def stepped(self, step: int, loss: float, pictures: int) -> None:  # noqa: ARG002 - as a watcher has it
        os.kill(os.getpid(), signal.SIGTERM)


class Break(Watch):
    def __init__(self, end: BaseException) -> None:
        self.end = end

    def say(self, sentence: str) -> None:
        if sentence.startswith("packing"):
            raise self.end


def few(folder: Path, count: int = 5) -> Data:
    write_folder(folder)
    return open_data(folder).keep(np.arange(count))


def remembered(data: Data, state: Path) -> Data:
    state.mkdir()
    remember(state, check(data))
    return as_they_were(state, data, pytest.fail)


def test_a_file_that_is_another_picture_now_is_an_error(tmp_path: Path) -> None:
    kept = remembered(few(tmp_path / "digits"), tmp_path / "state")
    path = tmp_path / "digits" / kept.names[3]
    Image.fromarray(255 - kept.read(3, "gray")[..., 0]).save(path)
    with pytest.raises(UserError, match="it has become another picture"):
        kept.read(3)
    assert np.array_equal(kept.read(2), open_data(tmp_path / "digits").read(2))


def test_a_file_put_back_or_stored_otherwise_is_still_the_picture(tmp_path: Path) -> None:
    kept = remembered(few(tmp_path / "digits"), tmp_path / "state")
    path, pixels = tmp_path / "digits" / kept.names[3], kept.read(3, "gray")
    content = path.read_bytes()
    Image.fromarray(255 - pixels[..., 0]).save(path)
    path.write_bytes(content)
    assert np.array_equal(kept.read(3, "gray"), pixels)
    Image.fromarray(pixels[..., 0]).save(path, compress_level=0)
    assert path.read_bytes() != content and np.array_equal(kept.read(3, "gray"), pixels)


def test_a_file_that_changes_between_check_and_beginning_is_noticed(tmp_path: Path) -> None:
    data, state = few(tmp_path / "digits"), tmp_path / "state"
    state.mkdir()
    checked = check(data)
    Image.new("L", (8, 8), 90).save(tmp_path / "digits" / data.names[3])
    remember(state, checked)
    with pytest.raises(UserError, match="it has become another picture"):
        as_they_were(state, data, pytest.fail).read(3)


def test_arrays_are_compared_when_a_run_goes_on(tmp_path: Path) -> None:
    data = open_digits().keep(np.arange(20))
    remembered(data, tmp_path / "state")
    data.read(7)[:] = 0  # a copy
    as_they_were(tmp_path / "state", data, pytest.fail)
    table = data.pictures.uniform
    assert table is not None
    table.setflags(write=True)
    table[7] += 1
    with pytest.raises(UserError, match=rf"a picture of .*{data.names[7]!r}.*put it back"):
        as_they_were(tmp_path / "state", data, pytest.fail)
    table[7] -= 1


def test_without_what_was_written_down_pictures_are_trusted_and_it_is_said(tmp_path: Path) -> None:
    data, said = few(tmp_path / "digits"), list[str]()
    remembered(data, tmp_path / "state")
    path = tmp_path / "state" / NAME
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"is damaged: .* Without this file the run goes on"):
        as_they_were(tmp_path / "state", data, said.append)
    path.unlink()
    assert as_they_were(tmp_path / "state", data, said.append) is data
    assert len(said) == 1 and "are not noticed" in said[0]


def test_a_run_stops_at_a_changed_picture_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    data = tmp_path / "digits"
    write_folder(data)
    with pytest.raises(UserError, match="stopped at step 1"):
        train(data, out="run", watch=Stop(), **QUICK)
    held_out = next(line for line in Path("run/split.csv").read_text().splitlines() if line.endswith(",val"))
    place = data / held_out.split(",")[0]
    content = place.read_bytes()
    Image.new("L", (8, 8), 90).save(place)
    with pytest.raises(UserError, match=r"become another picture .*put the picture back as it was"):
        resume("run")
    place.write_bytes(content)
    assert resume("run").summary["steps"] == 4


@pytest.mark.parametrize(("end", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_packing_is_left_at_once_and_begun_again(tmp_path: Path, end: BaseException, code: int) -> None:
    write_folder(tmp_path / "digits")
    with pytest.raises(UserError, match=r"stopped while packing: .*--resume run` goes on") as error:
        train("digits", out="run", watch=Break(end), packed=8, **QUICK)
    assert error.value.exit_code == code
    assert resume("run").summary["steps"] == 4


def test_packed_pictures_may_be_files_again(tmp_path: Path) -> None:
    data = few(tmp_path / "digits")
    pack(data, tmp_path / "digits.packed")
    (tmp_path / "state").mkdir()
    remember(tmp_path / "state", check(open_data(tmp_path / "digits.packed")))
    kept = as_they_were(tmp_path / "state", data, pytest.fail)
    assert [kept.pictures.read(place).shape[:2] for place in range(5)] == [(8, 8)] * 5
    Image.new("L", (8, 8)).save(tmp_path / "digits" / data.names[0])
    with pytest.raises(UserError, match="another picture"):
        as_they_were(tmp_path / "state", data, pytest.fail).pictures.read(0)
