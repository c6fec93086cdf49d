"""The report of a run: made of whatever its folder holds, and nothing in it does anything but be read."""

import base64
import copy
import io
import itertools
import json
import math
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import residua
from judging.runs import RULE, config, judged, write_run
from residua.data.dataset import Data
from residua.data.sources.recognition import open_data
from residua.errors import UserError
from residua.judging.explaining.colours import laid
from residua.judging.explaining.explanation import heatmap
from residua.judging.model import load
from residua.judging.reporting import words
from residua.judging.reporting.charts import HEIGHT, WIDTH, training_charts
from residua.judging.reporting.judged import BEST, CASES, DOUBTS, WORST, Judged
from residua.judging.reporting.page import Report, page, write_report
from residua.judging.reporting.records import Line, Records, measurement
from residua.judging.reporting.sources import NOT_SO, ODD, Sources
from residua.nets.zoo import spec
from residua.weights.metadata import ClassEntry, Metadata
from residua.weights.modelfile import write_model, write_temperature
from residua.weights.preprocessing import seen_box

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
            Image.fromarray(pixels).save(root / label / f"{number}.png", compress_level=1)
    return root


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run and its pictures, which no test changes."""
    root = tmp_path_factory.mktemp("kept")
    pictures = write_pictures(root / "photos", 24)
    return write_run(root / "run", CLASSES, str(pictures))


@pytest.fixture(scope="module")
def shown(kept: Path) -> Report:
    """Its report."""
    return write_report(kept, kept.parent / "page.html")


@pytest.fixture
def run(kept: Path, tmp_path: Path) -> Path:
    """A run to be changed."""
    shutil.copytree(kept, tmp_path / "run")
    return tmp_path / "run"


def said(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "evaluation.json").read_text())
    return found


def test_nothing_is_written_through_a_link_in_a_run(run: Path) -> None:
    (run.parent / "precious").write_text("text")
    (run / "report.html").symlink_to("../precious")
    with pytest.raises(UserError, match=r"report\.html is a link"):
        write_report(run)
    assert (run.parent / "precious").read_text() == "text"
    (run / "summary.json").unlink()
    with pytest.raises(UserError, match=r"report\.html is a link"):
        residua.resume(run)


def test_the_page_says_what_the_evaluation_says(kept: Path, shown: Report) -> None:
    page, found = Page(shown.path), said(kept)
    assert shown.missing == () and shown.finished and shown.path == kept.parent / "page.html"
    assert shown.as_json()["top1"] == found["top1"] and shown.as_json()["samples"] == 48
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


def test_each_case_has_its_picture_and_where_the_network_looked(kept: Path, shown: Report) -> None:
    page, found = Page(shown.path), said(kept)
    cases = found["mistakes"][:CASES] + found["label_errors"][:DOUBTS]
    images = page.images
    assert len(images) == 2 * len(cases) > 0
    assert {image.size for image in images} == {(96, 64)}  # enlarged by a whole number
    photos = open_data(kept.parent / "photos")
    pixels = photos.read(list(photos.names).index(cases[0]["path"]))
    assert np.array_equal(np.asarray(images[0].convert("RGB"))[2::4, 2::4], pixels)
    alternatives = [value for name, value in page.attributes if name == "alt"]
    assert len(alternatives) == len(images) and all(alternatives) and cases[0]["path"] in alternatives[0]


def test_the_network_looked_for_the_class_that_the_caption_names(kept: Path, shown: Report) -> None:
    model, photos = load(kept / "best.safetensors"), open_data(kept.parent / "photos")
    images, cases = Page(shown.path).images, said(kept)["mistakes"][:CASES]
    others = 0  # which this model, that never learned, would not name so
    for place, case in enumerate(cases):
        pixels = photos.read(list(photos.names).index(case["path"]))
        picture = Image.fromarray(pixels).resize((96, 64), Image.Resampling.NEAREST)
        heat = heatmap(model, pixels, case["predicted"])
        drawn = laid(picture, heat, seen_box(24, 16, RULE))
        assert np.array_equal(np.asarray(images[2 * place + 1].convert("RGB")), np.asarray(drawn))
        others += not np.array_equal(heat, heatmap(model, pixels))
    assert others


def test_the_page_needs_nothing_from_elsewhere_and_reads_well(shown: Report) -> None:
    page = Page(shown.path)
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
def test_what_is_missing_or_damaged_is_said_and_the_rest_is_shown(
    name: str, whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole, tmp_path / "run")
    run = tmp_path / "run"
    before = set(write_report(run).missing)
    for damaged in (b"{[\x00 not,what:it\n'was\n", None):
        (run / name).unlink()
        if damaged:
            (run / name).write_bytes(damaged)
        written = write_report(run)
        page = Page(written.path)
        assert "<h1>" in page.source and "</html>" in page.source
        told = set(written.missing) - before
        quiet = not damaged and name in ("summary.json", "evaluation.json")  # as before a training's end
        named = "The model cannot be had" if damaged and name == "best.safetensors" else name
        assert quiet or any(named in sentence for sentence in told)
        assert all(sentence[:50] in page.text for sentence in told)


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
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without pictures, which no test changes."""
    return write_run(tmp_path_factory.mktemp("whole") / "run", CLASSES)


@pytest.fixture(scope="module")
def records(whole: Path) -> Records:
    return Records.read(whole)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_change_to_the_evaluation_breaks_the_page(records: Records, data: st.DataObject) -> None:
    found = copy.deepcopy(records.evaluation)
    where: Any = found
    while isinstance(where, (dict, list)) and where:
        keys = sorted(where) if isinstance(where, dict) else range(len(where))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(where[key], (dict, list)) or not where[key] or data.draw(st.booleans()):
            where[key] = data.draw(JUNK)
            break
        where = where[key]
    try:
        judged = Judged.from_json(found)
    except NOT_SO:
        return
    text = page(records, Sources(None, None, judged, ()))
    assert "</html>" in text and "<script" not in text


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


def test_a_temperature_stored_since_is_heeded(run: Path, shown: Report) -> None:
    write_temperature(run / "best.safetensors", 2.0)
    after = write_report(run)
    assert shown.judged and after.judged and after.missing == ()
    assert (shown.judged.calibration.temperature, after.judged.calibration.temperature) == (1.0, 2.0)
    (run / "config.yaml").write_text(json.dumps(config("gone", len(CLASSES))))
    stale = write_report(run)
    assert stale.judged == shown.judged and any("are those of before" in each for each in stale.missing)
    assert "are those of before" in Page(stale.path).text


def test_another_model_is_judged_anew_and_never_shown_beside_old_figures(
    run: Path, kept: Path, shown: Report
) -> None:
    network = spec("tiny_resnet", num_classes=len(CLASSES), input_size=16)
    torch.manual_seed(7)
    entries = tuple(ClassEntry(id=f"c{place}", name=name) for place, name in enumerate(CLASSES))
    other = Metadata(spec=network, classes=entries, preprocessing=RULE)
    write_model(run / "best.safetensors", residua.create(network).state_dict(), other)
    anew = write_report(run)
    found = residua.evaluate(run / "best.safetensors", kept.parent / "photos", split=run / "split.csv")
    assert anew.missing == () and anew.judged != shown.judged
    assert anew.judged and anew.judged.samples == 48 and anew.judged.top1 == pytest.approx(found.top1)
    (run / "config.yaml").write_text(json.dumps(config("gone", len(CLASSES))))
    stale = write_report(run)
    assert stale.judged == shown.judged and any(
        "is not of best.safetensors" in each for each in stale.missing
    )


def test_pictures_of_which_the_model_is_not_judged_have_no_heat(run: Path) -> None:
    write_temperature(run / "best.safetensors", 2.0)
    rows = (run / "split.csv").read_text().replace(",val", ",train")  # so it cannot be judged anew
    (run / "split.csv").write_text(rows)
    cases = said(run)["mistakes"][:CASES] + said(run)["label_errors"][:DOUBTS]
    page = Page(write_report(run).path)
    assert len(page.images) == len(cases) > 0 and "are those of before" in page.text


@pytest.mark.parametrize(
    "change",
    [
        lambda _: {"a": 1},
        lambda said: said | {"top1": "half"},
        lambda said: said | {"top1": float("nan")},
        lambda said: said | {"calibration": []},
        lambda said: said | {"mistakes": "none"},
    ],
)
def test_an_odd_evaluation_is_made_anew(change: Any, run: Path) -> None:
    (run / "evaluation.json").write_text(json.dumps(change(said(run))))
    written = write_report(run)
    assert written.judged and written.judged.samples == 48
    assert written.missing == (ODD,) and ODD in Page(written.path).text


@pytest.mark.parametrize(("name", "odd"), [("root", 5), ("root", [1]), ("data", 5), ("data", None)])
def test_odd_places_of_the_pictures_are_said(name: str, odd: Any, run: Path) -> None:
    (run / "config.yaml").write_text(json.dumps(config("digits", len(CLASSES)) | {name: odd}))
    written = write_report(run)
    assert any("does not say where the pictures are" in each for each in written.missing)


def test_what_stands_for_more_than_it_is_is_refused(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "run")
    levels = [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]" for level in range(1, 10)]
    bomb = "\n".join(["l0: &l0 [lol]", *levels, "spec: {name: *l9}", "steps: {<<: [*l1]}"])
    (folder / "config.yaml").write_text(bomb)
    assert any("config.yaml cannot be read" in each for each in write_report(folder).missing)


@pytest.mark.parametrize(
    ("out", "sentence"), [("nowhere/page.html", "there is no folder"), (None, "is a folder")]
)
def test_where_it_cannot_be_written_is_found_out_first(
    out: str | None, sentence: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "report.html").mkdir()
    (run / "evaluation.json").unlink()  # so there would be work
    heard: list[int] = []
    with pytest.raises(UserError, match=sentence):
        write_report(run, run / out if out else None, progress=lambda done, _: heard.append(done))
    assert heard == []


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


def made_of(classes: int, labels: list[int], hard: float) -> Judged:
    names = [f"{place}.png" for place in range(len(labels))]
    found = judged(names, labels, [f"c{place}" for place in range(classes)], hard)
    return Judged.from_json(json.loads(json.dumps(found.as_json())))


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


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 30), st.sampled_from([0.1, 1.0, 10.0]))
def test_the_page_says_of_its_probabilities_what_the_evaluation_says(hard: float, temperature: float) -> None:
    found = replace(made_of(4, [0, 1, 2, 3] * 15, hard).calibration, temperature=temperature)
    sentences = " ".join(words.believed(found))
    for leaning in ("over-confident", "under-confident"):
        assert (leaning in sentences) == (found.leaning == leaning)


def test_no_better_than_the_most_frequent_class_is_said(records: Records) -> None:
    found = made_of(2, [0] * 45 + [1] * 5, 20.0)
    assert "has not been shown to be better than always naming" in words.measured(found, records)
    good = made_of(2, [0, 1] * 30, 0.5)
    assert "Always naming the most frequent class would get 50.0%." in words.measured(good, records)


VALUES = st.one_of(st.none(), st.floats(), st.floats(1e-9, 1e9))


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=12))
def test_every_point_lies_within_its_axes(records: Records, values: list[tuple[Any, ...]]) -> None:
    rest = dict.fromkeys(("images_per_second", "val_top5", "val_macro_f1"))
    lines: list[Line] = [
        {
            "epoch": epoch + 1,
            "step": 4 * epoch + 4,
            "val_top1": 50.0,
            **dict(zip(("train_loss", "val_loss", "lr"), map(measurement, measured), strict=True)),
            **rest,
        }
        for epoch, measured in enumerate(values)
    ]
    for chart in training_charts(replace(records, lines=tuple(lines))):
        for curve in chart.curves:
            points = [tuple(map(float, point.split(","))) for point in curve.points.split()]
            assert points and all(0 <= x <= WIDTH and -0.1 <= y <= HEIGHT + 0.1 for x, y in points)
        for axis in (chart.across, chart.up):
            places = [tick.at for tick in axis.ticks]
            assert places == sorted(places) and len(places) <= 12
            assert all(math.isfinite(at) and -0.1 <= at <= axis.length + 0.1 for at in places)


def test_only_a_run_has_a_report(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no run: it has neither config.yaml nor metrics.jsonl"):
        write_report(tmp_path)
    with pytest.raises(UserError, match="cannot be written"):
        write_report(whole, tmp_path / "nowhere" / "page.html")


def test_open_data_can_be_handed_over(kept: Path, tmp_path: Path) -> None:
    data = open_data(kept.parent / "photos")
    assert isinstance(data, Data)
    assert Page(write_report(kept, tmp_path / "page.html", data=data).path).images
