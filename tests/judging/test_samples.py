"""Which pictures a network is judged by, and who says so."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from judging.small import pictures
from residua.data import splitting
from residua.data.dataset import PARTS, UNSPLIT, Data
from residua.data.sources.recognition import open_data
from residua.data.sources.table import read_rows
from residua.data.splitting import write_split
from residua.errors import UserError
from residua.judging.showing.samples import choose_samples


def parted(*parts: int) -> Data:
    return pictures(len(parts), parts=np.array(parts, np.int8))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESIDUA_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("parts", "part", "count"),
    [
        ((0, 0, 1, 2, 2, 2), "test", 3),
        ((0, 0, 1, 1, 0, 0), "val", 2),
        ((0, 0, 0, 0, 0, 0), "all", 6),
        ((UNSPLIT,) * 6, "all", 6),
    ],
)
def test_what_was_held_out_is_taken(parts: tuple[int, ...], part: str, count: int) -> None:
    found = choose_samples(parted(*parts))
    assert (found.part, len(found.data), found.bad, found.unlisted) == (part, count, (), 0)
    assert found.chosen_by == "as the data says"


def test_a_part_can_be_asked_for() -> None:
    data = parted(0, 1, 1, 2, 0, 0)
    assert [len(choose_samples(data, part=part).data) for part in (*PARTS, "all")] == [3, 2, 1, 6]
    with pytest.raises(UserError, match="did you mean val"):
        choose_samples(data, part="vall")
    with pytest.raises(UserError, match="no pictures in test: it has train and val"):
        choose_samples(parted(0, 1), part="test")
    with pytest.raises(UserError, match="no pictures in val: it is in no parts"):
        choose_samples(parted(UNSPLIT), part="val")


def test_the_split_of_a_run_is_used_where_the_model_lies_beside_it(tmp_path: Path) -> None:
    write_split(tmp_path / "split.csv", parted(0, 1, 0, 1, 0, 0))
    data = parted(*[UNSPLIT] * 6)
    beside = choose_samples(data, beside=[tmp_path, tmp_path / "nowhere"])
    assert (beside.part, list(beside.data.names)) == ("val", ["1.png", "3.png"])
    assert "lies beside the model" in beside.chosen_by
    named = choose_samples(data, split=tmp_path / "split.csv", part="train")
    assert list(named.data.names) == ["0.png", "2.png", "4.png", "5.png"]
    assert len(choose_samples(data, beside=[tmp_path], part="all").data) == 6
    assert choose_samples(parted(2, 2, 0, 0, 0, 0), beside=[tmp_path]).part == "test"  # its own come first


def test_pictures_that_a_split_does_not_list_are_counted_and_left_out(tmp_path: Path) -> None:
    write_split(tmp_path / "split.csv", parted(0, 1, 0))
    found = choose_samples(parted(*[UNSPLIT] * 5), beside=[tmp_path])
    assert (list(found.data.names), found.unlisted) == (["1.png"], 2)


def test_it_is_known_how_many_pictures_a_model_learned_from(tmp_path: Path) -> None:
    data = parted(*[UNSPLIT] * 6)
    assert choose_samples(data).learned is None  # nobody says
    write_split(tmp_path / "split.csv", parted(0, 1, 0, 1, 0, 0))
    everything = choose_samples(data, part="all", beside=[tmp_path])
    assert (len(everything.data), everything.learned, everything.unlisted) == (6, 4, 0)
    assert choose_samples(data, beside=[tmp_path]).learned == 0
    assert choose_samples(data, split=tmp_path / "split.csv", part="train").learned == 4
    own = parted(1, 1, 0, 0, 0, 0)  # what the data itself holds out is not what the run did
    assert (choose_samples(own).learned, choose_samples(own, beside=[tmp_path]).learned) == (0, 1)
    gone = data.keep(np.array([0, 1]))  # a run that no longer fits has learned nevertheless
    assert choose_samples(gone, part="all", beside=[tmp_path]).learned == 1
    renamed = pictures(6, "xyz", parts=np.full(6, UNSPLIT, np.int8))
    assert choose_samples(renamed, part="all", beside=[tmp_path]).learned == 4


def test_the_pictures_of_two_models_are_learned_if_either_did(tmp_path: Path) -> None:
    for name, parts in {"a": (0, 1, 1, 1), "b": (1, 1, 1, 0)}.items():
        (tmp_path / name).mkdir()
        write_split(tmp_path / name / "split.csv", parted(*parts))
    data = parted(*[UNSPLIT] * 4)
    assert choose_samples(data, part="all", beside=[tmp_path / "a", tmp_path / "b"]).learned == 2


def test_a_split_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_split(tmp_path / "split.csv", parted(0, 1, 0, 1, 0, 0))
    read: list[Path] = []

    def watched(path: Path, *columns: Sequence[str]) -> Iterator[dict[str, str]]:
        read.append(path)
        return read_rows(path, *columns)

    monkeypatch.setattr(splitting, "read_rows", watched)
    choose_samples(parted(*[UNSPLIT] * 6), beside=[tmp_path])
    assert read == [tmp_path / "split.csv"]


def test_a_run_of_other_data_says_nothing(tmp_path: Path) -> None:
    write_split(tmp_path / "split.csv", parted(0, 1, 0))
    other = pictures(3, names=["x", "y", "z"])
    assert choose_samples(other, beside=[tmp_path]).part == "all"


def test_a_run_whose_pictures_changed_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    """Judged by all pictures, the model would be judged by those that it learned from."""
    write_split(tmp_path / "split.csv", parted(0, 1, 0, 1))
    with pytest.raises(UserError, match="--part all to do without"):
        choose_samples(parted(*[UNSPLIT] * 3), beside=[tmp_path])


def test_two_runs_must_have_held_out_the_same(tmp_path: Path) -> None:
    for name, parts in {"a": (0, 1, 0, 1), "b": (1, 1, 0, 0), "c": (0, 1, 0, 1)}.items():
        (tmp_path / name).mkdir()
        write_split(tmp_path / name / "split.csv", parted(*parts))
    data = parted(*[UNSPLIT] * 4)
    assert len(choose_samples(data, beside=[tmp_path / "a", tmp_path / "c"]).data) == 2
    with pytest.raises(UserError, match="hold out different pictures"):
        choose_samples(data, beside=[tmp_path / "a", tmp_path / "b"])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label in "ab":
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(4):
            Image.new("L", (8, 8), 20 * number).save(tmp_path / "photos" / label / f"{number}.png")
    (tmp_path / "photos/b/1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path / "photos"


def test_bad_pictures_are_named_and_left_out(photos: Path) -> None:
    found = choose_samples(str(photos), max_bad=0.2)
    assert [(each.path, bool(each.reason)) for each in found.bad] == [("b/1.png", True)]
    assert len(found.data) == 7
    assert "b/1.png" not in found.data.names


def test_too_many_bad_pictures_are_an_error(photos: Path) -> None:
    with pytest.raises(UserError, match=r"1 of 8 pictures \(12.5%\) cannot be read, such as 'b/1.png'"):
        choose_samples(open_data(str(photos)), max_bad=0.1)
    with pytest.raises(UserError, match="max_bad=2"):
        choose_samples(str(photos), max_bad=2)
