"""The report of a run: made of whatever its folder holds, and nothing in it does anything but be read."""

import base64
import io
import itertools
import json
import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from judging.runs import config, judged, write_run
from residua.data.dataset import Data
from residua.data.sources.recognition import open_data
from residua.errors import UserError
from residua.judging.figures.temperature import store_temperature
from residua.judging.reporting import words
from residua.judging.reporting.charts import HEIGHT, WIDTH, training_charts
from residua.judging.reporting.judged import BEST, CASES, DOUBTS, WORST, Judged
from residua.judging.reporting.page import write_report
from residua.judging.reporting.records import Records

CLASSES = ("cat", "dog", "owl", "fox", "hen", "cow")
FILES = (
    *("config.yaml", "env.json", "classes.json", "split.csv", "bad_images.csv", "metrics.jsonl"),
    *("summary.json", "data.json", "evaluation.json", "best.safetensors"),
)


class Page(HTMLParser):
    """The tags, attributes and texts of a page."""

    VOID = ("meta", "img", "br")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
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


def write_pictures(root: Path, count: int, size: tuple[int, int] = (24, 16)) -> Path:
    """Pictures of noise in the folders that `write_run` speaks of."""
    draws = np.random.default_rng(0)
    for label in CLASSES:
        (root / label).mkdir(parents=True)
        for number in range(count):
            pixels = draws.integers(0, 256, (size[1], size[0], 3), np.uint8)
            Image.fromarray(pixels).save(root / label / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run and its pictures, which no test changes."""
    root = tmp_path_factory.mktemp("kept")
    pictures = write_pictures(root / "photos", 24)
    return write_run(root / "run", CLASSES, str(pictures))


@pytest.fixture
def run(kept: Path, tmp_path: Path) -> Path:
    """A run to be changed."""
    shutil.copytree(kept, tmp_path / "run")
    return tmp_path / "run"


def said(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "evaluation.json").read_text())
    return found


def test_the_page_says_what_the_evaluation_says(kept: Path, tmp_path: Path) -> None:
    written = write_report(kept, tmp_path / "page.html")
    page, found = Page(written.path), said(kept)
    assert written.missing == () and written.finished and written.path == tmp_path / "page.html"
    assert written.as_json()["top1"] == found["top1"] and written.as_json()["samples"] == 48
    right = round(found["top1"] * 48 / 100)
    assert f"The network names {right} of 48 held-out pictures correctly, {found['top1']:.1f}%" in page.text
    low, high = found["intervals"]["top1"]
    assert f"{low:.1f}% to {high:.1f}%" in page.text and f"{100 * found['ece']:.1f}%" in page.text
    for row in found["per_class"]:
        cells = [row["name"], 16, 8, *(f"{row[name]:.1f}%" for name in ("precision", "recall", "f1"))]
        assert "".join(map(str, cells)) in page.text
    for mistake in found["mistakes"][:CASES]:
        assert mistake["path"] in page.text and f"{100 * mistake['probability']:.1f}%" in page.text
    assert "20 to 40" in page.text and "They are left out." in page.text and "it is cut off" in page.text
    assert "learning_rate: 0.1" in page.text and "2026-01-02" in page.text


def test_each_case_has_its_picture_and_where_the_network_looked(kept: Path, tmp_path: Path) -> None:
    page, found = Page(write_report(kept, tmp_path / "page.html").path), said(kept)
    cases = min(CASES, len(found["mistakes"])) + min(DOUBTS, len(found["label_errors"]))
    images = page.images
    assert len(images) == 2 * cases > 0
    assert {image.size for image in images} == {(96, 64)}  # enlarged by a whole number
    photo = open_data(kept.parent / "photos")
    path = found["mistakes"][0]["path"]
    pixels = photo.read(list(photo.names).index(path))
    shown = np.asarray(images[0].convert("RGB"))[2::4, 2::4]
    assert np.array_equal(shown, pixels)
    assert not np.array_equal(np.asarray(images[1]), np.asarray(images[0]))
    alternatives = [value for name, value in page.attributes if name == "alt"]
    assert len(alternatives) == len(images) and all(alternatives) and path in alternatives[0]


def test_the_page_needs_nothing_from_elsewhere_and_reads_well(kept: Path, tmp_path: Path) -> None:
    page = Page(write_report(kept, tmp_path / "page.html").path)
    assert {"link", "script", "iframe", "object", "form", "a"}.isdisjoint(page.tags)
    assert not re.search(r"https?:|url\(|@import", page.source)
    headings = [int(tag[1]) for tag in page.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings))
    assert page.tags.count("table") == page.tags.count("caption")
    drawings = [value for name, value in page.attributes if name == "aria-label"]
    assert any(text.startswith("Loss over the passes: training from 2 to 0.4") for text in drawings)


def test_names_are_texts_and_nothing_else(tmp_path: Path) -> None:
    evil = ["<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "{{7*7}}", "a\nb\x1b[31m"]
    paths = [f"{label}'\"><script>/{number}\udcff.png" for label in range(4) for number in range(24)]
    folder = write_run(tmp_path / "run", evil, '"><script>', paths=paths)
    (folder / "summary.json").write_text(json.dumps({"model": "<script>x</script>"}))
    (folder / "env.json").write_text(json.dumps({"platform": "<script>", "libraries": {"<b>": "<i>"}}))
    page = Page(write_report(folder).path)
    assert {"script", "img"}.isdisjoint(page.tags) and "49" not in page.text
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert all(text in page.text for text in (*evil[:3], r"a\nb\x1b[31m", r"\xff.png", "<b>"))


@pytest.mark.parametrize("name", FILES)
def test_what_is_missing_or_damaged_is_said_and_the_rest_is_shown(name: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    for damaged in (b"{[\x00 not,what:it\n'was", None):
        (run / name).unlink()
        if damaged:
            (run / name).write_bytes(damaged)
        written = write_report(run)
        page = Page(written.path)
        assert "<h1>" in page.source and "</html>" in page.source
        if name not in ("summary.json", "evaluation.json") or damaged:
            assert "What is missing here" in page.text
            assert any(name in sentence or "model" in sentence for sentence in written.missing)


def test_of_an_empty_run_there_is_a_page_too(run: Path) -> None:
    for name in FILES[1:]:
        (run / name).unlink()
    written = write_report(run)
    assert written.judged is None and not written.finished
    assert "so nothing can be said of how good it is" in Page(written.path).text


JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.sampled_from(["", "<script>", [], {}, [[]], {"count": 1}, [None], True]),
)


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without pictures, beside an evaluation that stays."""
    folder = tmp_path_factory.mktemp("changing")
    write_run(folder / "run", CLASSES)
    (folder / "run" / "best.safetensors").unlink()
    shutil.copy(folder / "run" / "evaluation.json", folder / "evaluation.json")
    return folder


@settings(max_examples=40)
@given(data=st.data())
def test_no_change_to_the_evaluation_breaks_the_page(changing: Path, data: st.DataObject) -> None:
    found = said(changing)
    where: Any = found
    while isinstance(where, (dict, list)) and where:
        keys = sorted(where) if isinstance(where, dict) else range(len(where))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(where[key], (dict, list)) or not where[key] or data.draw(st.booleans()):
            where[key] = data.draw(JUNK)
            break
        where = where[key]
    (changing / "run" / "evaluation.json").write_text(json.dumps(found))
    page = write_report(changing / "run").path.read_text()
    assert "</html>" in page and "<script" not in page


def test_pictures_that_are_gone_are_said_to_be(run: Path, tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "photos", 24)
    (run / "config.yaml").write_text(json.dumps(config(str(pictures), len(CLASSES))))
    gone, torn = (mistake["path"] for mistake in said(run)["mistakes"][:2])
    (pictures / gone).unlink()
    (pictures / torn).write_bytes((pictures / torn).read_bytes()[:100])
    written = write_report(run)
    page = Page(written.path)
    assert "1 of the run's 144 pictures are no longer in" in page.text
    assert "the picture is gone" in page.text and "it is cut off" in page.text and page.images
    shutil.rmtree(pictures)
    without = Page(write_report(run).path)
    assert "The pictures cannot be had" in without.text and not without.images
    moved = write_pictures(tmp_path / "moved", 24)
    assert Page(write_report(run, data=str(moved)).path).images


def test_an_unfinished_run_is_judged_by_its_best_so_far(run: Path) -> None:
    for name in ("summary.json", "evaluation.json"):
        (run / name).unlink()
    heard: list[tuple[int, int]] = []
    written = write_report(run, progress=lambda done, total: heard.append((done, total)))
    page = Page(written.path)
    assert "The training is not over: 5 of 5 passes are done" in page.text
    assert written.judged and written.judged.samples == 48 and heard[-1] == (48, 48)
    assert not written.finished and not (run / "evaluation.json").exists()


def test_a_temperature_stored_since_is_heeded(run: Path) -> None:
    before = write_report(run).judged
    store_temperature(run / "best.safetensors", 2.0)
    after = write_report(run).judged
    assert before and after and (before.temperature, after.temperature) == (1.0, 2.0)


@pytest.mark.parametrize(("classes", "left_out", "table"), [(25, 0, True), (26, 1, True), (31, 6, False)])
def test_of_many_classes_the_worst_and_the_best_are_shown(
    classes: int, left_out: int, table: bool, tmp_path: Path
) -> None:
    names = [f"class {number:03}" for number in range(classes)]
    folder = write_run(tmp_path / "run", names)
    (folder / "best.safetensors").unlink()
    written = write_report(folder)
    page = Page(written.path)
    assert written.judged and written.judged.left_out == left_out
    f1 = {row["name"]: row["f1"] for row in said(folder)["per_class"]}
    shown = [row.name for row in written.judged.rows]
    assert len(shown) == min(classes, WORST + BEST)
    assert [f1[name] for name in shown] == sorted(f1[name] for name in shown)
    assert max(f1.values()) == f1[shown[-1]] and min(f1.values()) == f1[shown[0]]
    assert (f"{left_out} more" in page.text) == bool(left_out)
    assert ("the larger the share of the row" in page.text) == table
    assert "The most frequent confusions" in page.text


def test_the_page_stays_small(tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "photos", 12, (300, 300))
    folder = write_run(tmp_path / "run", CLASSES, str(pictures), held_out=4)
    line = (folder / "metrics.jsonl").read_text().splitlines()[-1]
    (folder / "metrics.jsonl").write_text(f"{line}\n" * 3000)
    written = write_report(folder)
    assert Page(written.path).images
    assert written.path.stat().st_size < 2_000_000


def made_of(classes: int, labels: list[int], hard: float, learned: dict[str, int] | None = None) -> Judged:
    names = [f"{place}.png" for place in range(len(labels))]
    found = judged(names, labels, [f"c{place}" for place in range(classes)], hard)
    return Judged.from_json(json.loads(json.dumps(found.as_json())), learned or {})


def test_the_verdict_fits_the_figures() -> None:
    perfect = made_of(4, [0, 1, 2, 3] * 10, 0.0)
    assert words.verdict(perfect).endswith("40 of 40 held-out pictures correctly, 100.0%: not one is wrong.")
    single = made_of(2, [1], 0.0)
    assert "1 of 1" in words.verdict(single) and single.baseline == 100
    one_class = made_of(3, [1] * 30, 4.0)
    assert one_class.baseline == 100 and one_class.absent == 2
    poor = made_of(10, list(range(10)) * 10, 100.0)
    about = re.search(r"about one in (\d+) is right", words.verdict(poor))
    assert about and int(about[1]) == round(poor.samples / poor.right)


def test_no_better_than_the_most_frequent_class_is_said(run: Path) -> None:
    found = made_of(2, [0] * 45 + [1] * 5, 20.0)
    assert "has not been shown to be better than always naming" in words.measured(found, Records(run))
    good = made_of(2, [0, 1] * 30, 0.5)
    assert "Always naming the most frequent class would get 50.0%." in words.measured(good, Records(run))


VALUES = st.one_of(st.none(), st.floats(), st.floats(1e-9, 1e9))


@settings(max_examples=60)
@given(values=st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=12))
def test_every_point_lies_within_its_axes(changing: Path, values: list[tuple[Any, ...]]) -> None:
    lines = [
        {
            "epoch": epoch + 1,
            "step": 4 * epoch + 4,
            "train_loss": one,
            "val_loss": two,
            "val_top1": 50.0,
            "lr": three,
        }
        for epoch, (one, two, three) in enumerate(values)
    ]
    metrics = changing / "run" / "metrics.jsonl"
    metrics.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    for chart in training_charts(Records(changing / "run")):
        for curve in chart.curves:
            points = [tuple(map(float, point.split(","))) for point in curve.points.split()]
            assert points and all(0 <= x <= WIDTH and -0.1 <= y <= HEIGHT + 0.1 for x, y in points)
        for axis in (chart.across, chart.up):
            places = [tick.at for tick in axis.ticks]
            assert places == sorted(places) and len(places) <= 12
            assert all(math.isfinite(at) and -0.1 <= at <= axis.length + 0.1 for at in places)


def test_only_a_run_has_a_report(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no run: it has neither config.yaml nor metrics.jsonl"):
        write_report(tmp_path)
    folder = write_run(tmp_path / "run")
    with pytest.raises(UserError, match="cannot be written"):
        write_report(folder, tmp_path / "nowhere" / "page.html")


def test_open_data_can_be_handed_over(kept: Path, tmp_path: Path) -> None:
    data = open_data(kept.parent / "photos")
    assert isinstance(data, Data)
    assert Page(write_report(kept, tmp_path / "page.html", data=data).path).images
