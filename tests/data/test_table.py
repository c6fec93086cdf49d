"""Tables: what is read, what is refused, and that any name survives."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from residua.data.dataset import PARTS, Data
from residua.data.sources.table import FORMULA, open_table, read_rows, write_table
from residua.errors import UserError

ODD = [
    "\udcff",
    "a\nb",
    "a\r\nb",
    "a\rb",
    "=cmd",
    "'=cmd",
    "''",
    "-1",
    "-x",
    "+1e5",
    "<script>",
    "é",
    "a,b",
    '"',
    "\t",
    "",
]


def table(folder: Path, text: str | bytes) -> Path:
    path = folder / "photos.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def opened(folder: Path, text: str | bytes, root: Path | None = None) -> Data:
    return open_table(table(folder, text), "photos.csv", root)


def refused(folder: Path, text: str | bytes) -> str:
    with pytest.raises(UserError) as failure:
        opened(folder, text)
    assert "\n" not in str(failure.value)
    return str(failure.value)


def test_paths_and_labels(tmp_path: Path) -> None:
    data = opened(tmp_path, "path,label\nb/2.jpg,dog\n./a//1.jpg,cat\n\na/../3.jpg,cat\n")
    assert (data.kind, data.classes, data.groups) == ("csv", ("cat", "dog"), None)
    assert list(data.names) == ["b/2.jpg", "a/1.jpg", "3.jpg"]
    assert data.labels.tolist() == [1, 0, 0]
    assert data.parts.tolist() == [-1, -1, -1]


def test_splits_groups_and_further_columns_in_any_order(tmp_path: Path) -> None:
    header = "camera,group,label,path,split"
    rows = ["x,g1,a,1.jpg,Training", "y,,b,2.jpg,valid", "z,g2,a,3.jpg,test", ",,b,4.jpg,train"]
    data = opened(tmp_path, "\n".join([header, *rows]))
    assert [PARTS[part] for part in data.parts] == ["train", "val", "test", "train"]
    assert data.groups == ["g1", "", "g2", ""]


def test_a_table_may_have_one_picture(tmp_path: Path) -> None:
    data = opened(tmp_path, "path,label\n1.jpg,a\n")
    assert (list(data.names), data.classes) == (["1.jpg"], ("a",))


def test_a_table_of_excel_has_a_mark_and_carriage_returns(tmp_path: Path) -> None:
    data = opened(tmp_path, b"\xef\xbb\xbfpath,label\r\n1.jpg,a\r\n2.jpg,b\r\n")
    assert list(data.names) == ["1.jpg", "2.jpg"]


def test_names_of_other_encodings_survive(tmp_path: Path) -> None:
    data = opened(tmp_path, b"path,label\n\xff.jpg,a\n2.jpg,\xe9\n")
    assert list(data.names) == ["\udcff.jpg", "2.jpg"]
    assert data.classes == ("a", "\udce9")


def test_paths_may_be_relative_to_another_folder(tmp_path: Path) -> None:
    root = tmp_path / "elsewhere"
    data = opened(tmp_path, f"path,label\n1.jpg,a\n{root}/in/2.jpg,b\n", root)
    assert list(data.names) == ["1.jpg", "in/2.jpg"]


@pytest.mark.parametrize("path", ["../1.jpg", "a/../../1.jpg", "/etc/passwd", "..", ".", "a/..", "/"])
def test_nothing_outside_the_folder_is_read(tmp_path: Path, path: str) -> None:
    assert f"row 3 of '{tmp_path}/photos.csv' names {path!r}, which is not a file inside" in refused(
        tmp_path, f"path,label\n1.jpg,a\n{path},b\n"
    )


def test_a_link_followed_by_dots_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/usr/bin")
    assert opened(tmp_path, "path,label\nlink/../1.jpg,a\n2.jpg,b\n").names[0] == "1.jpg"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "not 'path': its first row must name 'path'"),
        ("path,label\n", "lists no pictures"),
        ("pth,label\n1.jpg,a\n", "write 'path' for 'pth'."),
        ("Path,Label\n1.jpg,a\n", "write 'path' for 'Path'."),
        ("path;label\n1.jpg;a\n", "has the columns 'path;label', not 'path': put commas between cells."),
        ("path\tlabel\n1.jpg\ta\n", "put commas between cells."),
        ("path,label".encode("utf-16"), "save it as UTF-8."),
        ("path,label,spilt\n1.jpg,a,train\n", "write 'split' for 'spilt'."),
        ("path,label,label\n1.jpg,a,b\n", "two columns 'label'"),
        ("path,label\n1.jpg,a\n2.jpg\n", "row 3 of "),
        ("path,label\n1.jpg,a\nx,y.jpg,b\n", "put cells that hold commas into double quotes"),
        ("path,label\n,a\n", "has no path"),
        ("path,label\n1\0.jpg,a\n", "NUL"),
        ("path,label\n1.jpg,a\n2.jpg,\n", "has no label"),
        ("path,label\n1.jpg,a\n2.jpg,b\n./1.jpg,b\n", "rows 2 and 4 of "),
        ("path,label,split\n1.jpg,a,train\n2.jpg,b,tset\n", "did you mean test"),
        ("path,label,split\n1.jpg,a,train\n2.jpg,b,\n", "row 3 of "),
        ("path,label,split\n1.jpg,a,train\n2.jpg,b,train\n3.jpg,c,val\n", "unknown class in 'photos.csv'"),
        ('path,label\n"1.jpg,a\n', "is no CSV"),
        ('path,label\n"1"x,a\n', "is no CSV"),
        (f'path,label\n"{"x" * 200_000}",a\n', "is no CSV"),
        ("x" * 100_000, f"has the columns {'x' * 200!r}, not"),
        ("x" * 2_000_000, "a line of more than 1,048,576 characters"),
    ],
)
def test_faults_are_one_sentence(tmp_path: Path, text: str | bytes, fault: str) -> None:
    assert fault in refused(tmp_path, text)


def test_a_pipe_is_no_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe' cannot be read: it is a device or a pipe, not a file"):
        list(read_rows(tmp_path / "pipe", ("path",)))


def test_a_table_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        open_table(tmp_path / "none.csv", "none.csv")
    with pytest.raises(UserError, match="cannot be written"):
        write_table(tmp_path / "none" / "a.csv", [["path"]])
    with pytest.raises(UserError, match="no text"):
        write_table(tmp_path / "a.csv", [["path"], ["\ud800"]])
    assert list(tmp_path.iterdir()) == []


cells = st.sampled_from(ODD) | st.text(
    st.characters(codec="utf-8") | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)
)


@given(st.lists(st.tuples(cells, cells), min_size=1))
def test_every_cell_survives(
    tmp_path_factory: pytest.TempPathFactory, rows: Sequence[tuple[str, str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "survives.csv"
    write_table(path, [("path", "label"), *rows])
    assert [(row["path"], row["label"]) for row in read_rows(path, ("path", "label"))] == list(rows)


@given(cells)
def test_no_cell_is_run_by_a_spreadsheet(tmp_path_factory: pytest.TempPathFactory, cell: str) -> None:
    path = tmp_path_factory.getbasetemp() / "runs.csv"
    write_table(path, [("path",), (cell, "end")])
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        shown = list(csv.reader(file))[1][0]
    assert shown[:1] not in {*"=@\t\r\n＝＠＋－"}  # noqa: RUF001 - wide signs are run too
    assert shown[:1] not in {"+", "-"} or float(shown) is not None
    assert shown == cell or (shown == f"'{cell}" and FORMULA.match(cell))
