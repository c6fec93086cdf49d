"""Checking: everything wrong is found, once; nothing takes the check down; the bad is left out by name."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import residua
from data.trouble import BAD, GOOD, TRAITS, picture, unruly, write_trouble
from residua.data.checking import checked as checking
from residua.data.checking.checked import Checked, check, readable, usable, write_bad_images
from residua.data.checking.examining import examine_apart
from residua.data.checking.findings import exit_code, findings, verdict
from residua.data.checking.overview import Overview, as_json, overview
from residua.data.dataset import Data, Pictures, Places, Skipped
from residua.data.pictures import Arrays
from residua.data.sources.table import read_rows
from residua.errors import UserError
from residua.text import visible


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESIDUA_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def trouble(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trouble(tmp_path_factory.mktemp("trouble"))


@pytest.fixture
def checked(trouble: Path) -> Checked:
    return check(trouble)


def arrays(labels: list[int], parts: list[int] | None = None, same: bool = False) -> Data:
    count = len(labels)
    pixels = np.zeros((count, 8, 8, 3), np.uint8)
    if not same:
        pixels[:, 0, 0] = np.arange(count)[:, None] // [1, 256, 65536]
    places = np.array(parts if parts else [-1] * count, np.int8)
    classes = tuple(f"class {label}" for label in range(max(labels) + 1))
    names = [f"{place:06}" for place in range(count)]
    return Data("made up", "digits", classes, names, np.array(labels, np.int32), places, Arrays(pixels))


def titles(found: Overview) -> dict[str, int]:
    every = findings(found)
    by_title = {finding.title: finding.count for finding in every}
    assert len(by_title) == len(every)
    return by_title


def test_every_bad_picture_is_named_once_with_its_reason(checked: Checked) -> None:
    named = [checked.data.names[place] for place in checked.reasons]
    assert named == [f"train/cat/{name}" for name in BAD]
    reasons = dict(zip(BAD, checked.reasons.values(), strict=True))
    assert "empty" in reasons["empty.jpg"] and "13,000 x 13,000" in reasons["bomb.png"]
    assert len(checked.good) == len(checked.data) - len(BAD)


def test_every_trait_is_on_its_own_picture(checked: Checked) -> None:
    also = {"grayscale": {"deep.png"}, "palette": {"moving.gif"}}
    for trait, name in TRAITS.items():
        found = {checked.data.names[place] for place in checked.having(trait)}
        assert found == {f"train/cat/{each}" for each in {name} | also.get(trait, set())}


def test_copies_are_found_within_and_across_classes_and_parts(checked: Checked) -> None:
    pairs = as_json(overview(checked), 1)["duplicates"]
    flags = {pair["paths"][1]: (pair["across_splits"], pair["across_classes"]) for pair in pairs}
    assert flags == {
        "train/cat/again.png": (False, False),
        "train/dog/a_cat.png": (False, True),
        "val/cat/seen.png": (True, False),
    }


def test_each_kind_is_reported_once_and_the_notes_come_last(checked: Checked) -> None:
    found = overview(checked, max_bad=0.5)
    serious = [finding.title for finding in findings(found) if finding.serious]
    assert serious == [
        "Unreadable pictures",
        "Same picture in several classes",
        "Same picture in several parts",
        "Same picture several times",
        "Animated",
        "Wrong extension",
    ]
    rest = {"Grayscale": 2, "Palette": 2, "Transparent": 1, "CMYK": 1, "16-bit": 1, "Rotated": 1}
    counts = titles(found)
    assert list(counts)[len(serious) :] == list(rest)
    assert {title: counts[title] for title in rest} == rest
    assert exit_code(found) == 1 and "6 kinds of things" in verdict(found)


def test_training_gets_the_data_without_the_bad(checked: Checked, tmp_path: Path) -> None:
    kept = usable(checked, max_bad=0.2)
    assert len(kept) == len(checked.data) - len(BAD)
    assert not any(name.endswith(BAD) for name in kept.names)
    write_bad_images(tmp_path / "bad_images.csv", checked)
    rows = read_rows(tmp_path / "bad_images.csv", ("path", "reason"))
    assert [row["path"] for row in rows] == [f"train/cat/{name}" for name in BAD]


def test_more_bad_pictures_than_allowed_are_refused_with_the_figures(checked: Checked) -> None:
    share = len(BAD) / len(checked.data)
    with pytest.raises(UserError, match=rf"{len(BAD)} of {len(checked.data)} .*{share:.1%}.*at most 10.0%"):
        usable(checked)
    found = overview(checked)
    assert (found.training, exit_code(found)) == (None, 2) and "cannot be used" in verdict(found)
    with pytest.raises(UserError, match="max_bad=7 is not valid"):
        usable(checked, max_bad=7)


def test_a_class_whose_pictures_are_all_bad_is_too_few_classes() -> None:
    checked = check(unruly("", "raise", "", "raise"))
    with pytest.raises(UserError, match="two classes"):
        usable(checked, max_bad=1)


def test_one_class_can_be_read_but_is_no_data_to_train_on() -> None:
    checked = check(arrays([0]))
    assert len(readable(checked)) == 1
    found = overview(checked)
    assert (found.training, exit_code(found)) == (None, 2)
    assert verdict(found) == (
        "'made up' has one class only, 'class 0': a classifier needs at least two classes."
    )


@pytest.mark.parametrize("word", ["crash", "exit", "raise"])
def test_a_decoder_that_dies_is_named_and_the_check_goes_on(word: str) -> None:
    words = [""] * 100
    words[3] = words[40] = words[99] = word
    checked = check(unruly(*words), workers=2)
    assert list(checked.reasons) == [3, 40, 99]
    expected = {"crash": "SIGSEGV", "exit": "exit code 3", "raise": "what now?"}[word]
    assert all(expected in reason for reason in checked.reasons.values())
    assert (checked.records["width"][checked.good] == 8).all()


def test_what_a_decoder_prints_disturbs_nothing() -> None:
    assert not check(unruly(*["print"] * 20)).reasons


def test_processes_do_not_import_torch() -> None:
    assert not check(unruly(*["torch?"] * 4)).reasons


def test_facts_are_in_the_order_of_the_pictures_whatever_the_workers() -> None:
    data = unruly(*[""] * 300)
    records = [check(data, workers=workers).records for workers in (1, 3)]
    numbers = [int.from_bytes(digest.tobytes()) for digest in records[0]["digest"]]
    assert numbers == list(range(300)) and (records[0] == records[1]).all()


def test_part_of_the_data_is_checked_by_its_own_numbers() -> None:
    data = unruly("raise", "", "", "raise", "", "").keep(np.array([1, 2, 3, 5]))
    checked = check(data)
    assert {data.names[place] for place in checked.reasons} == {"3"}
    numbers = [int.from_bytes(digest.tobytes()) for digest in checked.records["digest"]]
    assert numbers == [1, 2, 0, 5]


def test_progress_reaches_the_end() -> None:
    for data in (unruly(*[""] * 50), arrays([0, 1] * 25)):
        told: list[tuple[int, int]] = []
        check(data, progress=lambda done, total, told=told: told.append((done, total)))  # type: ignore[misc]
        assert told[-1] == (50, 50) and told == sorted(told)


def test_interrupting_ends_the_processes_too() -> None:
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from data.trouble import unruly\nfrom residua.data.checking.checked import check\n"
        "words = [''] * 40 + ['sleep'] * 400\n"
        "check(unruly(*words), workers=2, progress=lambda *_: print('on', flush=True))"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout and running.stdout.readline() == "on\n"
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)  # returns when the children have let go of the pipe, too
    assert running.returncode == -signal.SIGINT and errors.count("Traceback") == 1


def test_a_killed_check_leaves_no_process_and_no_word(tmp_path: Path) -> None:
    write_trouble(tmp_path / "data")
    for wait in (0.2, 0.4, 0.8):
        code = f"import residua; residua.check({str(tmp_path / 'data')!r}, workers=2)"
        running = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(wait)
        running.kill()
        assert running.communicate(timeout=30)[1] == b""  # returns when the children have ended, too


def test_wrong_arguments_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="workers=0"):
        check(arrays([0, 1]), workers=0)
    with pytest.raises(UserError, match="does not exist"):
        residua.check(tmp_path / "nothing")


def test_clean_data_is_clean() -> None:
    found = overview(check(arrays([0, 1] * 20)))
    assert (exit_code(found), verdict(found), titles(found)) == (0, "Clean: nothing to look at.", {})
    assert found.split_made and found.splits == {"train": 36, "val": 4}
    assert found.sizes["width"] == {"min": 8, "median": 8.0, "max": 8}


def test_uneven_small_and_missing_classes_are_said() -> None:
    found = overview(check(arrays([0] * 63 + [1] * 3)))
    assert titles(found) == {"Uneven classes, 21 to 1": 2} and found.imbalance == 21
    found = overview(check(arrays([0] * 10 + [1] * 10 + [2])))
    assert titles(found) == {"Classes with fewer than 2 good pictures": 1}
    assert found.missing_classes == {"val": ["class 2"]}
    found = overview(check(arrays([0, 0, 1, 1, 0], [0, 0, 0, 0, 1])))
    assert titles(found) == {"Classes without a picture in val": 1} and exit_code(found) == 1


def test_data_without_training_pictures_is_not_clean() -> None:
    found = overview(check(arrays([0, 0, 1, 1], [1, 1, 1, 1])))
    assert titles(found) == {"Classes without a picture in train": 2} and exit_code(found) == 1
    assert found.missing_classes == {"train": ["class 0", "class 1"]}


def test_groups_in_several_parts_are_said() -> None:
    data = replace(arrays([0, 1, 0, 1], [0, 0, 1, 1]), groups=["one", "two", "one", "three"])
    found = overview(check(data))
    assert found.divided_groups == ["one"] and titles(found) == {"Groups in several parts": 1}


def test_copies_never_part_when_residua_splits() -> None:
    checked = check(arrays([0, 1] * 20, same=True))
    assert len(overview(checked).splits) == 1
    data = arrays([0] * 20 + [1] * 20)
    pixels = data.pictures.uniform
    assert pixels is not None
    pixels[1::2] = pixels[::2]
    found = overview(check(data), val=0.3)
    assert len(found.twins) == 20 and not any(twins.across_parts for twins in found.twins)


def test_of_very_many_copies_all_are_counted() -> None:
    (finding,) = findings(overview(check(arrays([0, 1] * 500, same=True))))[:1]
    assert finding.title == "Same picture in several classes" and len(finding.items[0].places) == 1000


def test_pictures_much_smaller_than_the_others_are_a_note(tmp_path: Path) -> None:
    for number in range(6):
        size = (8, 9) if number == 5 else (90, 80)
        folder = tmp_path / "ab"[number % 2]
        folder.mkdir(exist_ok=True)
        picture(number, size).resize(size).save(folder / f"{number}.png")
    found = overview(check(tmp_path))
    assert titles(found) == {"Much smaller than the others": 1} and exit_code(found) == 0


def test_what_is_left_aside_is_said_and_hidden_things_are_a_note() -> None:
    hidden = replace(arrays([0, 1] * 4), skipped=(Skipped(".x", "hidden"),))
    assert exit_code(overview(check(hidden))) == 0
    other = replace(hidden, skipped=(*hidden.skipped, Skipped("a.jpg", "in no class folder")))
    found = overview(check(other))
    assert titles(found) == {"Left aside": 1, "Hidden, or no pictures": 1} and exit_code(found) == 1


class Asked:
    """Counts the pictures that are decoded."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, pictures: Pictures, places: Places, workers: int) -> object:
        self.count = len(places)
        return examine_apart(pictures, places, workers)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    counter = Asked()
    monkeypatch.setattr(checking, "examine_apart", counter)
    return counter


def test_files_that_have_not_changed_are_remembered(tmp_path: Path, asked: Asked) -> None:
    root = write_trouble(tmp_path / "data")
    first = check(root)
    assert asked.count == len(first.data)
    again = check(root, remembered=True)
    assert asked.count == len(BAD)
    assert (again.records == first.records).all() and again.reasons == first.reasons
    picture(5000).save(root / "val/dog/0.png")
    changed = check(root, remembered=True)
    assert asked.count == len(BAD) + 1 and (changed.records != first.records).sum() == 1
    check(root)
    assert asked.count == len(first.data)


def test_a_damaged_memory_is_no_memory(tmp_path: Path, asked: Asked) -> None:
    root = write_trouble(tmp_path / "data")
    first = check(root)
    (file,) = (tmp_path / "cache" / "checks").iterdir()
    whole = file.read_bytes()
    for damaged in (b"", whole[:50], whole[:-1], whole[:99] + bytes([whole[99] ^ 1]) + whole[100:]):
        file.write_bytes(damaged)
        assert (check(root, remembered=True).records == first.records).all()
        assert asked.count == len(first.data)


def test_without_a_place_to_remember_the_check_works(trouble: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESIDUA_CACHE", "/dev/null/nowhere")
    assert len(check(trouble, remembered=True).good) == 4 * GOOD + len(TRAITS) + 3


def test_names_are_shown_on_one_line_whatever_is_in_them() -> None:
    assert visible("a b\n\x1b[31m\udcff\u202eß猫") == "a b\\n\\x1b[31m\\xff\\u202eß猫"
