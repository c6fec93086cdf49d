"""The report as whoever gets it sees it: in a browser, on a phone and on a desk, by day and by night."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from judging.browser import Seen, browser, look
from judging.runs import write_run
from residua.judging.reporting.page import write_report
from residua.text import visible

pytestmark = pytest.mark.skipif(browser() is None, reason="Chromium is not installed: no page is looked at")

HELD_OUT = 3
EVIL = (
    '<script>document.title = "owned"<_script>',
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}\n</style></title>",
    "noblanks" * 25,
    "\u202egnihton",
    "fox",
    "& hen; 'cow'",
)
NAMES = tuple(name.replace("/", "_") for name in EVIL)


def write_pictures(root: Path) -> list[str]:
    """Pictures of noise in folders of such names."""
    draws = np.random.default_rng(0)
    paths = []
    for name in NAMES:
        (root / name).mkdir(parents=True)
        for number in range(3 * HELD_OUT):
            shape = (20, 20 + 20 * (number % 2), 3)
            paths.append(os.fsdecode(f"{name}/{number} <b>".encode() + b"\xff.png"))
            Image.fromarray(draws.integers(0, 256, shape, np.uint8)).save(root / paths[-1])
    return paths


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("seen")
    paths = write_pictures(root / "photos <b>")
    evil = write_run(root / "evil", NAMES, str(root / "photos <b>"), HELD_OUT, paths)
    many = write_run(root / "many", [f"a class of the number {number}" for number in range(30)])
    (many / "summary.json").unlink()
    return {name: write_report(folder).path for name, folder in (("evil", evil), ("many", many))}


@pytest.fixture(scope="module", params=["light", "dark"])
def seen(
    pages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Seen:
    return look(tmp_path_factory.mktemp("browser"), pages, (360, 768, 1280), request.param == "dark")


def test_nothing_is_complained_of_or_fetched(seen: Seen) -> None:
    assert seen.console == []
    assert len(seen.pages) == 6
    assert all(page["fetched"] == [] for page in seen.pages.values())


def test_nothing_is_wider_than_the_window(seen: Seen) -> None:
    assert {name: page["wide"] for name, page in seen.pages.items() if page["wide"] > 0} == {}


def test_every_text_stands_out_from_its_ground(seen: Seen) -> None:
    assert {name: page["faint"] for name, page in seen.pages.items() if page["faint"]} == {}


def test_names_are_texts_and_pictures_are_shown(seen: Seen) -> None:
    page = seen.pages["evil 1280"]
    assert page["title"] == "tiny_resnet on photos <b> - training report"
    assert all(visible(name)[:60] in page["text"] for name in NAMES)
    assert len(page["pictures"]) > 10 and all(page["pictures"]) and page["unnamed"] == 0
    assert " <b>\\xff.png" in page["text"] and "the picture is gone" not in page["text"]
    assert "the picture is gone" in seen.pages["many 360"]["text"]
