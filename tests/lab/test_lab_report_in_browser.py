"""The lab's pages as whoever opens them sees them: on a phone and on a desk, by day and by night."""

from pathlib import Path

import pytest

from judging.browser import Seen, browser, look
from lab.sweeping import TINY, experiment
from lab.told import write_lab
from residua.lab.experiment import MEASUREMENTS
from residua.lab.reporting.keeping import write_pages

pytestmark = pytest.mark.skipif(browser() is None, reason="Chromium is not installed: no page is looked at")

EVIL = "<script>document.title='owned'</script> $x$ \u202enihton & 'cow'"
LABEL = EVIL.replace("\u202e", "")  # what cannot be seen labels no network
LONG = "noblanks" * 12
WIDTHS = (360, 768, 1280)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    lab = tmp_path_factory.mktemp("seen")
    claims = [
        {"id": "order", "says": EVIL, "source": LONG, "less": LABEL, "than": "b", "elsewhere": LONG},
        {"id": "number", "says": "A number.", "of": "b", "number": "6.61"},
        {
            "id": "bound",
            "says": LONG,
            "of": "b",
            "quantity": "lesions.one_removed",
            "below": 9.0,
            "everywhere": True,
        },
    ]
    networks = {LABEL: TINY, "b": {**TINY, "shortcut": "scaling"}}
    full = experiment(title=EVIL, networks=networks, claims=claims, measurements=MEASUREMENTS)
    write_lab(lab, full, without=[("b", 1)])
    write_lab(lab, "tables")
    names = ("tables", "mine", "index")
    return dict(zip(names, write_pages(lab), strict=True))


@pytest.fixture(scope="module", params=["light", "dark"])
def seen(
    pages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Seen:
    return look(tmp_path_factory.mktemp("browser"), pages, WIDTHS, request.param == "dark")


def test_nothing_is_complained_of_or_fetched(seen: Seen) -> None:
    assert seen.console == []
    assert len(seen.pages) == len(WIDTHS) * 3
    assert all(page["fetched"] == [] for page in seen.pages.values())


def test_nothing_is_wider_than_the_window(seen: Seen) -> None:
    assert {name: page["wide"] for name, page in seen.pages.items() if page["wide"] > 0} == {}


def test_every_text_stands_out_from_its_ground(seen: Seen) -> None:
    assert {name: page["faint"] for name, page in seen.pages.items() if page["faint"]} == {}


def test_names_are_texts_in_figures_too(seen: Seen) -> None:
    page = seen.pages["mine 1280"]
    assert page["title"].startswith("<script>document.title") and page["title"].endswith("Residua's lab")
    assert page["text"].count("document.title='owned'") >= 3
    assert "Units left out, and swapped" in page["text"] and "What is missing here" in page["text"]
    assert "Residua's lab" in seen.pages["index 360"]["text"]
