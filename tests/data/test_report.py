"""The page: whole in one file, with everything suspicious on it, and no name that does anything."""

from __future__ import annotations

import base64
import io
import os
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from data.trouble import BAD, TRAITS, picture, write_trouble
from residua.data.checking.checked import check
from residua.data.checking.overview import overview
from residua.data.checking.report import BESIDE, ROWS, write_report
from residua.errors import UserError
from residua.text import visible

EVIL = os.fsdecode(b'\xff<script>alert(1)<_script>"><img src=x onerror=alert(2)>{{7*7}}\n=cmd.png')


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESIDUA_CACHE", str(tmp_path / "cache"))


class Page(HTMLParser):
    """The tags, attributes and texts of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def images(self) -> list[Image.Image]:
        sources = [value for name, value in self.attributes if name == "src"]
        assert all(source.startswith("data:image/webp;base64,") for source in sources)
        return [Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))) for source in sources]


def report(root: Path, file: Path, max_bad: float = 0.5) -> Page:
    write_report(file, overview(check(root), max_bad=max_bad))
    return Page(file)


def test_everything_suspicious_is_on_the_page(tmp_path: Path) -> None:
    page = report(write_trouble(tmp_path / "data"), tmp_path / "report.html")
    assert page.open == []
    for name in (*BAD, *TRAITS.values(), "again.png", "a_cat.png"):
        assert f"train/cat/{name}" in page.text or f"train/dog/{name}" in page.text
    assert "it is cut off" in page.text and "13,000 x 13,000" in page.text
    assert "val/cat/seen.png" in page.text and "kinds of things to look at" in page.text
    assert len(page.images) == 3 * 2 + len(TRAITS) + 2  # the bad ones have none
    assert all(max(image.size) <= 112 for image in page.images)


def test_a_name_is_a_text_and_nothing_else(tmp_path: Path) -> None:
    root = write_trouble(tmp_path / "<b>data")
    shutil.copy(root / "train/cat/0.png", root / "train/cat" / EVIL)
    (root / "train/dog" / EVIL).touch()
    shutil.copytree(root / "train/dog", root / "train/<script>class")
    page = report(root, tmp_path / "report.html")
    assert visible(f"train/cat/{EVIL}") in page.text and visible(f"train/dog/{EVIL}") in page.text
    assert "<script>class" in page.text and "{{7*7}}" in page.text
    assert "script" not in page.tags and "b" in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = report(write_trouble(tmp_path / "data"), tmp_path / "report.html")
    assert {"link", "script", "iframe", "object"}.isdisjoint(page.tags)
    links = [value for name, value in page.attributes if name in ("src", "href", "action")]
    assert all(link.startswith(("data:", "#")) for link in links)
    assert "http" not in page.text.replace("http-equiv", "")


def test_the_page_stays_small_and_says_how_many_more_there_are(tmp_path: Path) -> None:
    for number in range(ROWS + 10):
        folder = tmp_path / "data" / f"class {number:03}"
        folder.mkdir(parents=True)
        picture(number).save(folder / "0.png")
        picture(0).save(folder / "copy.png")
        (folder / "bad.png").touch()
    page = report(tmp_path / "data", tmp_path / "report.html")
    assert "and 22 more" in page.text and "10 more lie between" in page.text
    assert "and more copies" in page.text and len(page.images) == BESIDE
    assert (tmp_path / "report.html").stat().st_size < 200_000


def test_data_that_cannot_be_used_has_a_page_that_says_so(tmp_path: Path) -> None:
    page = report(write_trouble(tmp_path / "data"), tmp_path / "report.html", max_bad=0.01)
    assert "cannot be used: 5 of" in page.text


def test_a_picture_gone_since_the_check_does_not_stop_the_page(tmp_path: Path) -> None:
    root = write_trouble(tmp_path / "data")
    found = overview(check(root), max_bad=0.5)
    (root / "train/cat" / TRAITS["cmyk"]).unlink()
    write_report(tmp_path / "report.html", found)
    assert "gone since" in Page(tmp_path / "report.html").text


def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    found = overview(check(write_trouble(tmp_path / "data")), max_bad=0.5)
    with pytest.raises(UserError, match="cannot be written"):
        write_report(tmp_path / "nowhere" / "report.html", found)
