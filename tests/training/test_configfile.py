"""Settings survive YAML, and people's YAML is read as they mean it."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from residua.errors import UserError
from residua.training.asking.configfile import read_config, write_config

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
NUMBERS = st.from_regex(r"[-+]?[0-9]+\.?[0-9]*[eE][-+]?[0-9]+", fullmatch=True)
VALUES = SCALARS | NUMBERS | st.lists(SCALARS | NUMBERS) | st.dictionaries(st.text(), SCALARS)


@given(st.dictionaries(st.text(), VALUES))
def test_every_value_comes_back(values: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        write_config(path, values)
        found = read_config(path)
    assert found == values and list(found) == list(values)


def test_what_stands_twice_is_written_out(tmp_path: Path) -> None:
    twice = [1, 2]
    write_config(tmp_path / "c.yaml", {"one": twice, "two": twice})
    assert read_config(tmp_path / "c.yaml") == {"one": twice, "two": twice}


def test_a_name_that_is_no_text_comes_back(tmp_path: Path) -> None:
    write_config(tmp_path / "c.yaml", {"data": "a\udcff\u2028é"})
    assert read_config(tmp_path / "c.yaml") == {"data": "a\udcff\u2028é"}


def test_tuples_come_back_as_lists_and_text_stays_readable(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    write_config(path, {"spec": {"units": (2, 2)}, "data": "Bäume", "lr": 1e-5})
    assert read_config(path) == {"spec": {"units": [2, 2]}, "data": "Bäume", "lr": 1e-5}
    assert path.read_text(encoding="utf-8") == "spec:\n  units:\n  - 2\n  - 2\ndata: Bäume\nlr: 1.0e-05\n"


def test_numbers_are_read_as_people_write_them(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("a: 1e-4\nb: 5E3\nc: -1.e-2\nd: 3\ne: '1e5'\nf: 1e5x\n")
    assert read_config(path) == {"a": 1e-4, "b": 5e3, "c": -0.01, "d": 3, "e": "1e5", "f": "1e5x"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1", "is not valid YAML"),
        (b"a: !!python/object/apply:os.system [exit]", "is not valid YAML"),
        (b"", "holds no settings"),
        (b"- a", "holds no settings"),
        (b"1: a", "holds no settings"),
        (b"a: \xff", "cannot be read"),
        (b"[" * 1500, "is not valid YAML: it is nested too deep"),
        (b"a: &a [1]\nb: [*a, *a]", r"is not valid YAML: it has an alias \(\*name\), write out what"),
        (b"a: &a {c: 1}\nb: {<<: *a}", "is not valid YAML: it has an alias"),
        (b"a: 2001-99-99", "is not valid YAML: '2001-99-99' is not valid as timestamp"),
        (b"a: !!timestamp {=: 3}", "is not valid YAML: a list or a mapping is not valid as timestamp"),
        (b"a: [!!int '']", "is not valid YAML: '' is not valid as int"),
        (b"a: !!bool x", "is not valid YAML: 'x' is not valid as bool"),
        (b"a: !!timestamp x", "is not valid YAML: 'x' is not valid as timestamp"),
        (b"a: " + b"9" * 400, "is not valid YAML: '999+ is not valid as int"),
        (b"a: " + b"9" * 5000, "is not valid YAML: '999+ is not valid as int"),
    ],
)
def test_what_is_wrong_is_one_sentence(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"c\.yaml {message}.*\Z"):
        read_config(path)


def test_a_pipe_is_no_config(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe cannot be read: it is a device or a pipe, not a file"):
        read_config(tmp_path / "pipe")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no\.yaml cannot be read: .*No such file"):
        read_config(tmp_path / "no.yaml")
