"""Pages about experiments say what the results do, show every figure, and stay the same file format's."""

import csv
import json
import re
import sys
from dataclasses import replace
from functools import partial
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

from lab import told
from lab.inside import BATCHES, LABELS, PIXELS, tiny
from lab.sweeping import TINY, experiment
from lab.told import write_lab
from residua.cli import app
from residua.errors import UserError
from residua.lab.experiment import MEASUREMENTS
from residua.lab.inside.gradients import Gradients, gradients
from residua.lab.inside.lesions import Lesions, at_random, each
from residua.lab.inside.paths import paths as paths_of
from residua.lab.inside.responses import Responses
from residua.lab.inside.responses import responses as responses_of
from residua.lab.inside.style import LOOKS
from residua.lab.measurements import write_json, write_measured
from residua.lab.reporting import curves, errors, inner, making, summary
from residua.lab.reporting.amounts import in_words, number
from residua.lab.reporting.drawings import drawings
from residua.lab.reporting.judged import judged
from residua.lab.reporting.keeping import Pages, write_pages
from residua.lab.reporting.looks import families, looks
from residua.lab.reporting.page import is_current, write_index, write_page
from residua.lab.reporting.records import ROWS, Record, find_records, read_record
from residua.lab.reporting.summary import write_summary
from residua.lab.reporting.svg import inline
from residua.lab.reporting.throughout import gradients_throughout
from residua.lab.reporting.words import answer, unmeasured
from residua.lab.results import gather
from residua.lab.running import run_experiment
from residua.lab.trials import trials
from residua.lab.verdicts import FAILS, HOLDS, OPEN

OWN = {  # figures beside errors and curves
    "gradients": {"gradients-initial", "gradients-final", "gradient-ratio", "gradients-throughout"},
    "lesions": {"lesions"},
}
SHOWN = ("tables", "degradation", "gradients", "lesions")
OTHERS = ("projections", "shortcuts", "orders", "depth", "responses", "paths")
EVIL = "<img src=x onerror=alert(1)> | `a` $x$"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Experiments as if they had been run; one trial is missing."""
    folder = tmp_path_factory.mktemp("lab")
    for name in (*SHOWN, *OTHERS):
        write_lab(folder, name, without=[("plain", 1)] if name == "lesions" else ())
    return folder


@pytest.fixture(scope="module")
def pages(lab: Path) -> dict[str, str]:
    written = {name: write_page(record(lab, name)).read_text() for name in SHOWN}
    write_index(lab)
    return written


class Page(HTMLParser):
    """The elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, Any]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def all(self, attribute: str) -> list[str]:
        return [values[attribute] for _, values in self.elements if values.get(attribute)]


def record(lab: Path, name: str) -> Record:
    return read_record(lab, name, "quick")


@pytest.mark.parametrize("name", SHOWN)
def test_a_page_has_every_figure_and_its_table_beside_it(lab: Path, pages: dict[str, str], name: str) -> None:
    expected = set() if name == "tables" else {"errors", "curves"} | OWN.get(name, set())
    found = drawings(record(lab, name))
    assert {drawing.name for drawing in found} == expected
    assert pages[name].count("<svg ") == len(expected)
    for drawing in found:
        with (lab / name / "quick" / drawing.file).open(newline="") as file:
            header, *rows = csv.reader(file)
        assert header == list(drawing.columns) and rows
        assert all(len(row) <= len(header) for row in rows)
        assert (
            f'href="{drawing.file}"' in pages[name] and drawing.alt.split(";")[0].split("<")[0] in pages[name]
        )
        assert len(drawing.caption) > 40


@pytest.mark.parametrize("name", SHOWN)
def test_a_page_is_one_file_without_scripts(pages: dict[str, str], name: str) -> None:
    page = Page(pages[name])
    assert len(pages[name]) < 300_000
    assert not {tag for tag, _ in page.elements} & {"script", "img", "iframe", "link", "object"}
    assert all(
        re.fullmatch(r"[\w.-]+\.csv", link)
        for tag, values in page.elements
        if tag == "a"
        for link in [values["href"]]
    )
    names = page.all("id")
    assert len(names) == len(set(names))
    used = {link[1:] for link in page.all("xlink:href")} | set(re.findall(r"url\(#([^)]+)\)", pages[name]))
    assert used <= set(names)
    assert "#000000" not in pages[name] and "<metadata" not in pages[name]


def test_the_answer_counts_the_verdicts(lab: Path, pages: dict[str, str]) -> None:
    found = record(lab, "degradation")
    words = [row["verdict"] for row in found.claims]
    decided = [word for word in words if word != "not judged"]
    sentence = answer(found)[0]
    assert sentence.startswith(f"Of {len(decided)} claims that can be judged at scale quick, ")
    assert str(decided.count("not decided")) in sentence and sentence in pages["degradation"]
    counted = sum("number" in row["claim"] for row in record(lab, "tables").claims)
    assert pages["tables"].count(">to the digits printed<") == counted


def test_what_is_counted_has_a_digit_more_than_is_printed(pages: dict[str, str]) -> None:
    """0.1866 holds as the paper cuts it off to 0.18; as 0.19 it would not look like that."""
    row = re.search(r"<tr><td>ResNet-34 has 18% of VGG-19.*?</tr>", pages["tables"], re.DOTALL)
    assert row and ">0.18<" in row[0] and "0.187" in row[0] and "0.19<" not in row[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-1.5e-16, "0"),
        (3.0, "3"),
        (-3.0, "-3"),
        (1202, "1,202"),
        (8.754, "8.75"),
        (0.0123, "0.012"),
        (-0.5, "-0.50"),
    ],
)
def test_numbers_have_the_digits_that_are_worth_reading(value: float, text: str) -> None:
    assert number(value) == text


def test_numbers_of_another_scale_stand_beside(lab: Path, pages: dict[str, str]) -> None:
    row = re.search(r"<tr><td>ResNet-20 has an error of 8.75%.*?</tr>", pages["degradation"], re.DOTALL)
    assert row and "beside" in row[0] and "another scale: not to be compared" in row[0] and "8.75%" in row[0]
    assert "14 claims of which nothing is measured" in pages["degradation"]
    said = unmeasured(judged(record(lab, "degradation")))
    assert said == "Claims of which nothing was measured: 9 at this scale and 5 without a training at any."
    assert "plain-8 &lt; plain-20" in pages["degradation"] and "{deep}" not in pages["degradation"]


def test_what_is_told_wrongly_elsewhere_is_said(pages: dict[str, str]) -> None:
    assert "Told elsewhere: The sum begins at i = 1" in pages["gradients"]
    assert "1,170,648, which is a misprint" in pages["tables"]
    assert "Said elsewhere" not in pages["degradation"]


def test_a_kept_page_says_what_is_told_wrongly_elsewhere_and_all_that_was_measured(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "SHOWN", 1)
    text = write_summary(record(lab, "gradients"), tmp_path).read_text()
    assert "## Said elsewhere" in text and "Told elsewhere: The sum begins at i = 1" in text
    quantities = record(lab, "gradients").quantities
    assert len(quantities) > 2 and all(f"| label | n | {in_words(name)} |" in text for name in quantities)
    assert "Said elsewhere" not in write_summary(record(lab, "degradation"), tmp_path).read_text()


def test_an_answer_says_how_many_claims_are_no_papers(lab: Path, tmp_path: Path) -> None:
    assert "1 of these is the lab's own, or judged by a bound of its own." in answer(record(lab, "gradients"))
    judged_ = [row for row in record(lab, "lesions").claims if row["verdict"] in (HOLDS, FAILS, OPEN)]
    ours = sum(bool(row["claim"].get("ours")) for row in judged_)
    assert 1 < ours < len(judged_)
    assert f"{ours} of these are the lab's own, or judged by a bound of its own." in answer(
        record(lab, "lesions")
    )
    assert "lab's own" not in " ".join(answer(record(lab, "degradation")))


def test_a_partial_sweep_says_what_is_missing(lab: Path, pages: dict[str, str]) -> None:
    count = len(record(lab, "lesions").trials)
    assert f"{count - 1} of {count} trainings so far" in pages["lesions"] and "So far: of" in pages["lesions"]
    assert "What is missing here" in pages["lesions"] and "the same command goes on" in pages["lesions"]
    assert "2 updates were left out, as the loss was no number" in pages["lesions"]
    assert "lab run &#39;it&#39;&#34;&#39;&#34;&#39;s&#39; &#39;&lt;b&gt;&#39;" in pages["lesions"]
    assert "12 trainings" in pages["degradation"] and "the same command goes on" not in pages["degradation"]


def test_nothing_finished_is_a_page_too(tmp_path: Path) -> None:
    made = experiment()
    write_lab(tmp_path, made, without=[(label, seed) for label in "ab" for seed in range(3)])
    text = write_page(record(tmp_path, "mine")).read_text()
    assert "Nothing can be judged so far." in text and "0 of 6 trainings so far" in text
    assert "<svg" not in text


def test_a_page_says_of_which_pictures_its_counts_are(pages: dict[str, str]) -> None:
    assert (
        "pictures of 32x32 in colour and ten classes" in pages["lesions"]
        and ">58,328,320<" in pages["lesions"]
    )
    assert "published size" in pages["tables"] and "32x32" not in pages["tables"]


def test_the_index_leads_to_every_page(lab: Path, pages: dict[str, str]) -> None:
    index = Page((lab / "index.html").read_text())
    links = [values["href"] for tag, values in index.elements if tag == "a"]
    assert set(SHOWN) <= {link.partition("/")[0] for link in links} and links[0].startswith("tables/")
    assert all((lab / link).is_file() for link in links)
    text = (lab / "index.html").read_text()
    held = sum(row["verdict"] == "holds" for row in record(lab, "tables").claims)
    assert f"{held} hold" in text and "What stands on the shortcut" in text


def test_a_folder_that_is_called_as_no_experiment_may_be_is_said(tmp_path: Path) -> None:
    write_lab(tmp_path, experiment())
    results = (tmp_path / "mine").rename(tmp_path / "javascript:a") / "quick" / "results.json"
    results.write_text(json.dumps({**json.loads(results.read_text()), "experiment": "javascript:a"}))
    page = Page(write_index(tmp_path).read_text())
    assert "a" not in {tag for tag, _ in page.elements}
    assert "name='javascript:a' is not valid" in unescape((tmp_path / "index.html").read_text())


def test_no_spreadsheet_runs_a_label(tmp_path: Path) -> None:
    write_lab(tmp_path, experiment(networks={"=1+1": TINY, "b": {**TINY, "shortcut": "scaling"}}, claims=[]))
    assert "\n'=1+1," in (tmp_path / "mine" / "quick" / "results.csv").read_text()


def test_names_are_text(tmp_path: Path) -> None:
    made = experiment(
        title=EVIL,
        networks={EVIL: TINY, "b": {**TINY, "shortcut": "scaling"}},
        claims=[{"id": "x", "says": EVIL, "less": EVIL, "than": "b", "elsewhere": EVIL}],
    )
    write_lab(tmp_path, made)
    text = write_page(record(tmp_path, "mine")).read_text()
    assert "<img" not in text and text.count("&lt;img src=x onerror=alert(1)") > 6
    summary = write_summary(record(tmp_path, "mine"), tmp_path / "docs").read_text()
    assert "<img" not in summary and r"\| \`a\`" in summary


def test_changes_of_a_network_and_of_its_recipe_are_named(lab: Path, pages: dict[str, str]) -> None:
    assert re.search(r"vgg16_bn [^<]*hidden=128[^<]* learning_rate=", pages["lesions"])
    assert record(lab, "projections").described("B") == "cifar_resnet8 projection=B"
    rows = list(csv.DictReader((lab / "lesions" / "quick" / "results.csv").read_text().splitlines()))
    assert {row["recipe"] for row in rows} == {"", "learning_rate=0.05"}


def test_networks_look_the_same_in_every_figure(lab: Path) -> None:
    found = record(lab, "responses")
    assert families(found) == {
        "plain": {8: "plain-8", 20: "plain-20"},
        "resnet": {8: "resnet-8", 20: "resnet-20"},
    }
    drawn = looks(found)
    assert drawn["plain-8"].colour == drawn["resnet-8"].colour != drawn["plain-20"].colour
    assert drawn["plain-8"].marker == drawn["plain-20"].marker != drawn["resnet-20"].marker
    assert len({(str(look.dashes), look.colour) for look in drawn.values()}) == 4
    figure = responses(found)
    assert [line.get_color() for line in figure.axes[0].lines][:4] == [look.colour for look in drawn.values()]
    assert (
        families(record(lab, "shortcuts")) == {} and looks(record(lab, "shortcuts"))["original"] == LOOKS[0]
    )


def responses(found: Record) -> Any:
    drawing = inner.responses(found)
    assert drawing
    return drawing.paint()


def test_figures_show_every_seed_and_the_median(lab: Path) -> None:
    found = record(lab, "shortcuts")
    drawing = errors.errors(found)
    assert drawing
    here, paper = drawing.paint().axes
    dots = np.concatenate([np.asarray(dots.get_offsets())[:, 0] for dots in here.collections]).tolist()
    assert sorted(dots) == pytest.approx(
        sorted(error for label in found.labels for error in found.values(label, "error").values())
    )
    bars = [np.asarray(line.get_xdata())[0] for line in here.lines]
    assert bars == pytest.approx([found.middle(label, "error") for label in found.labels])
    assert paper.get_xlabel() == "error in the papers, %"
    assert 6.61 in [np.asarray(line.get_xdata())[0] for line in paper.lines]
    assert [line.get_marker() for line in paper.lines].count(">") == sum(
        number.bound for label, number in errors.printed(found).items() if label in found.labels
    )


def test_the_papers_numbers_share_the_axis_where_they_can_be_compared(tmp_path: Path) -> None:
    write_lab(tmp_path, "shortcuts", "paper")
    found = read_record(tmp_path, "shortcuts", "paper")
    drawing = errors.errors(found)
    assert drawing and len(drawing.paint().axes) == 1 and "in the same axes" in drawing.caption


@pytest.mark.parametrize("scale", ["quick", "paper"])
def test_all_errors_are_on_the_axis_which_begins_at_0_unless_they_are_close(
    tmp_path: Path, scale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lab(tmp_path, "shortcuts", scale)
    found = read_record(tmp_path, "shortcuts", scale)
    for share in (0.6, -1.0):  # as it is, and so that all are close
        monkeypatch.setattr(errors, "CLOSE", share)
        drawing = errors.errors(found)
        assert drawing
        axes = drawing.paint().axes[0]
        (least, most), (first, last) = axes.get_xlim(), axes.dataLim.intervalx
        assert least < first and last < most
        close = least == pytest.approx(first - 0.08 * (last - first))
        assert close == ("does not begin at 0" in drawing.caption) == (share < 0)


def test_few_networks_share_a_panel_and_many_stand_beside_what_they_are_compared_with(lab: Path) -> None:
    few = record(lab, "projections")
    assert [panel.labels for panel in curves.panels_of(few, few.labels)] == [["A", "B", "C"]]
    many = record(lab, "orders")
    panels = {panel.title: panel.reference for panel in curves.panels_of(many, many.labels)}
    assert panels["full pre-activation"] == "original" and panels["original"] is None
    assert panels["full pre-activation, bottleneck"] == "original, bottleneck"
    deep = record(lab, "depth")
    assert [panel.title for panel in curves.panels_of(deep, deep.labels)] == ["original", "preactivated"]


def test_a_training_without_numbers_is_drawn(tmp_path: Path) -> None:
    found = write_lab(tmp_path, experiment())
    for row in found.rows:
        (tmp_path / "trials" / row.trial / "metrics.jsonl").write_text(
            '{"epoch": 1, "step": 1, "val_top1": 0.0, "train_loss": null, "val_loss": null}\n'
            '{"epoch": 2, "step": 2, "val_top1": null}\n'
        )
    drawing = curves.curves(record(tmp_path, "mine"))
    assert drawing and drawing.rows[0] == ("a", 0, 1, 100.0, None, None)
    assert inline(drawing.paint(), "", "").count("<path") > 4


@pytest.mark.parametrize("top1", ['"x"', "NaN", "[1]"])
def test_a_training_of_other_things_than_numbers_is_said(tmp_path: Path, top1: str) -> None:
    found = write_lab(tmp_path, experiment())
    path = tmp_path / "trials" / found.rows[0].trial / "metrics.jsonl"
    path.write_text(f'{{"epoch": 1, "step": 1, "val_top1": {top1}}}\n')
    with pytest.raises(UserError, match="hold what is no number: they were changed"):
        write_page(record(tmp_path, "mine"))


def test_gradients_through_training_are_those_that_were_noted(tmp_path: Path) -> None:
    write_lab(tmp_path, experiment(measurements=["gradients"]))
    drawing = gradients_throughout(record(tmp_path, "mine"))
    assert drawing
    last = [row[-1] for row in drawing.rows if row[:3] == ("a", 0, told.PASSES)]
    assert last == [told.PASSES / 2, 0.8, 0.9, 1.0]  # three units, and behind them
    first, *_, final = drawing.paint().axes[0].lines
    assert (first.get_label(), final.get_label()) == ("pass 0", f"pass {told.PASSES}")
    assert list(np.asarray(final.get_ydata())) == last


def test_long_curves_are_thinned_in_figures_and_whole_in_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "PASSES", 400)
    told.write_lab(tmp_path, "projections", "paper")
    drawing = curves.curves(read_record(tmp_path, "projections", "paper"))
    assert drawing and len(drawing.rows) == 3 * 5 * 400
    line = drawing.paint().axes[0].lines[0]
    assert len(np.asarray(line.get_xdata())) <= curves.POINTS + 1 and np.asarray(line.get_xdata())[-1] == 400
    assert len(inline(drawing.paint(), "f0", drawing.alt)) < 150_000


def test_a_label_that_looks_like_a_reference_is_a_label(tmp_path: Path) -> None:
    told.write_lab(tmp_path, experiment(networks={'url(#a"b)': "cifar_resnet8", "href=#a": TINY}, claims=[]))
    drawing = curves.curves(record(tmp_path, "mine"))
    assert drawing and "url(#a" in inline(drawing.paint(), "f0", "")


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_a_network_that_has_nothing_to_measure_is_left_out_of_a_figure(tmp_path: Path, name: str) -> None:
    found = write_lab(tmp_path, experiment(measurements=[name]))
    nothing: dict[str, Any] = {"summary": {}, "detail": None, "why_not": "there is none"}
    for row in found.rows:
        if row.label == "a":
            write_measured(tmp_path / "trials" / row.trial, name, nothing)
    gather(found.experiment, "quick", trials(found.experiment, "quick", "made up"), tmp_path).write()
    drawn = [each for each in drawings(record(tmp_path, "mine")) if each.name not in ("errors", "curves")]
    noted = ("gradient-ratio", "gradients-throughout")  # whatever is measured
    assert drawn and {row[0] for each in drawn if each.name not in noted for row in each.rows} == {"b"}
    assert write_page(record(tmp_path, "mine")).read_text().count("<svg ") == len(drawn) + 2


def test_each_network_has_its_own_numbers(lab: Path, pages: dict[str, str]) -> None:
    found = record(lab, "lesions")
    drawing = inner.lesions(found)
    assert drawing
    for label in found.labels:
        middle = number(found.middle(label, "lesions.one_removed") or 0.0)
        row = re.search(
            rf'<tr><th scope="row">{label}</th><td class="number">\d</td>.*?</tr>', pages["lesions"]
        )
        assert row and f">{middle}<" in row[0]
        for seed, detail in found.details(label, "lesions").items():
            left = [unit["error"] for unit in detail["each"]["units"]]
            assert [line[-1] for line in drawing.rows if line[:3] == (label, seed, "each")] == left
    assert len({found.middle(label, "lesions.one_removed") for label in found.labels}) == len(found.labels)


def test_a_page_says_who_made_each_trial(tmp_path: Path) -> None:
    found = write_lab(tmp_path, experiment())
    about = told.MADE_BY["environment"]
    other = {**told.MADE_BY, "environment": {**about, "residua": "0.2.0", "gpus": ["a GPU"]}}
    write_json(tmp_path / "trials" / found.rows[0].trial / "made.json", other)
    write_json(tmp_path / "trials" / found.rows[1].trial / "made.json", {**other, "device": "cuda"})
    write_json(tmp_path / "trials" / found.rows[2].trial / "made.json", {**told.MADE_BY, "precision": "bf16"})
    said = dict(making.made(record(tmp_path, "mine")))
    assert "2 by Residua 0.2.0" in said["versions"] and "4 by Residua 0.1.0" in said["versions"]
    assert "1 by a GPU, in fp32 without TF32; Linux" in said["machine"]
    assert "4 by a processor (AVX2), 2 processors, in fp32; Linux" in said["machine"]
    assert "1 by a processor (AVX2), 2 processors, in bf16; Linux" in said["machine"]
    assert said["time of all trials"] == "42 s, measurements included"


def test_a_page_says_how_all_were_trained(lab: Path) -> None:
    assert dict(making.made(record(lab, "degradation")))["training"] == (
        "recipe=paper epochs=4 val=0.1 schedule=linear warmup=0.25 batch=64; "
        "1,618 pictures to learn from, 179 held out"
    )
    counted = dict(making.made(record(lab, "tables")))
    assert "training" not in counted and "fp32" not in counted["machine"]


def test_details_are_summed_up_over_the_seeds(lab: Path) -> None:
    found = record(lab, "lesions")
    details = list(found.details("residual", "lesions").values())
    single = inner.read(Lesions, inner.middle([detail["each"] for detail in details]))
    values = sorted(detail["each"]["units"][1]["error"] for detail in details)
    assert single.units[0].error is None and single.units[1].error == values[1]
    pooled = inner.read_random([detail["at_random"] for detail in details])
    assert [len(row.trials) for row in pooled.rows] == [2 * len(details)] * 2
    paths = inner.read_paths(list(record(lab, "paths").details("residual", "paths").values()))
    assert sum(length.share for length in paths.lengths) == pytest.approx(1)


def test_details_are_read_as_they_were_measured() -> None:
    network = tiny()
    found = (
        (gradients(network, PIXELS, LABELS), partial(inner.read, Gradients)),
        (responses_of(network, BATCHES), partial(inner.read, Responses)),
        (each(network, BATCHES), partial(inner.read, Lesions)),
        (at_random(network, BATCHES, draws=2), lambda detail: inner.read_random([detail])),
        (paths_of(network, PIXELS, LABELS, draws=2), lambda detail: inner.read_paths([detail])),
    )
    for measured, read in found:
        assert read(json.loads(json.dumps(measured.as_json()))) == measured


def test_a_run_writes_its_page_unless_asked_not_to(tmp_path: Path) -> None:
    run_experiment("tables", out=tmp_path / "without", report=False)
    assert not list((tmp_path / "without").rglob("*.html"))
    run_experiment("tables", out=tmp_path)
    assert (tmp_path / "tables" / "quick" / "report.html").is_file() and (tmp_path / "index.html").is_file()


def test_without_matplotlib_a_page_has_tables_and_says_so(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = write_page(record(lab, "projections")).read_text()
    assert (
        "<svg" not in text
        and "pip install &#34;residua[plots]&#34;" in text
        and "Paper against measured" in text
    )
    assert not is_current(record(lab, "projections"))  # who installs it gets figures


def test_a_page_is_written_anew_only_for_new_results(tmp_path: Path) -> None:
    made = experiment()
    write_lab(tmp_path, made, without=[("b", 2)])
    keeper = Pages(tmp_path, ["mine"], "quick")
    keeper.changed("mine")
    page = tmp_path / "mine" / "quick" / "report.html"
    assert page.is_file() and not (tmp_path / "index.html").exists()
    page.write_text(page.read_text() + "<!-- seen -->")
    keeper.finish()
    assert page.read_text().endswith("<!-- seen -->") and (tmp_path / "index.html").is_file()
    write_lab(tmp_path, made)
    assert not is_current(record(tmp_path, "mine"))
    keeper.finish()
    assert is_current(record(tmp_path, "mine")) and "<!-- seen -->" not in page.read_text()


def test_a_summary_keeps_what_people_wrote(lab: Path, tmp_path: Path) -> None:
    for name in ("tables", "projections"):
        page = write_summary(record(lab, name), tmp_path)
    assert page == tmp_path / "quick" / "projections.md"
    text = page.read_text()
    assert "| B is slightly better than A. | v1 Table 3, page 6 | B < A |".replace("<", "&lt;") in text
    assert "| the interval of the differences " in text and "both medians are shown" in text
    assert "![Median errors: A " in text and (tmp_path / "quick" / "projections-errors.svg").is_file()
    assert (tmp_path / "quick" / "projections.csv").read_text() == (
        lab / "projections" / "quick" / "results.csv"
    ).read_text()
    ElementTree.parse(tmp_path / "quick" / "projections-errors.svg")  # noqa: S314 - our own
    page.write_text(text + "\n## Why\n\nSo it is.\n")
    write_summary(record(lab, "projections"), tmp_path)
    assert page.read_text() == text + "\n## Why\n\nSo it is.\n"
    listed = (tmp_path / "README.md").read_text()
    for name in ("tables", "projections"):
        assert f"(quick/{name}.md): {answer(record(lab, name))[0]}" in listed
    assert sum(path.stat().st_size for path in tmp_path.rglob("*")) < 300_000


def test_the_command_writes_pages_or_summaries(lab: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["lab", "report", "projections", "--out", str(lab), "--json"])
    assert done.exit_code == 0 and "report.html" in done.stdout and "index.html" in done.stdout
    done = CliRunner().invoke(app, ["lab", "report", "tables", "--out", str(lab), "--into", str(tmp_path)])
    assert done.exit_code == 0 and (tmp_path / "quick" / "tables.md").is_file()


def test_what_is_not_there_is_said(lab: Path, tmp_path: Path) -> None:
    for arguments, said in (
        ((lab, "projection"), "did you mean projections"),
        ((lab, "projections", "paper"), "has not been run at scale paper"),
        ((lab, None, "papers"), "did you mean paper"),
        ((tmp_path,), "nothing has been run below"),
    ):
        with pytest.raises(UserError, match=said):
            write_pages(*arguments)
    assert find_records(tmp_path) == []
    write_lab(tmp_path, experiment())
    (tmp_path / "mine" / "quick" / "results.json").write_text("{}")
    with pytest.raises(UserError, match="says nothing of experiment: run the experiment once more"):
        write_pages(tmp_path)


def test_one_damaged_result_stands_in_no_others_way(tmp_path: Path) -> None:
    write_lab(tmp_path, experiment())
    write_lab(tmp_path, experiment(name="yours"))
    (tmp_path / "mine" / "quick" / "results.json").write_text("{}")
    said: list[str] = []
    page, index = write_pages(tmp_path, say=said.append)
    assert page == tmp_path / "yours" / "quick" / "report.html"
    (sentence,) = said
    assert "mine/quick/results.json says nothing of experiment" in sentence and sentence in index.read_text()
    with pytest.raises(UserError, match="says nothing of experiment"):
        write_pages(tmp_path, "mine", say=said.append)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"experiment": "../yours"}, "is of another experiment or scale"),
        ({"trials": 5}, "has something else in place of its trials"),
        ({"networks": [{"label": "a"}]}, "has something else in place of its networks"),
        ({"claims": [{"verdict": "holds"}]}, "has something else in place of its claims"),
        ({"summary": {}}, "sums up other networks"),
        (
            {"trials": [{**dict.fromkeys(ROWS["trials"], 1), "trial": "../../elsewhere"}]},
            "names a trial as no trial is named",
        ),
        (
            {"trials": [{**dict.fromkeys(ROWS["trials"], 1), "values": {"error": "x"}}]},
            "has something else in place of a trial's values",
        ),
        ({"summary": {"a": {"error": float("inf")}}}, "cannot be read: it has a number that is none"),
        ({"training": [1]}, "has something else in place of its training"),
    ],
)
def test_results_that_no_run_wrote_are_not_believed(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    write_lab(tmp_path, experiment())
    path = tmp_path / "mine" / "quick" / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(UserError, match=sentence):
        read_record(tmp_path, "mine", "quick")


def test_damage_beside_the_results_costs_no_page(tmp_path: Path) -> None:
    """Who made it is not known then, and a measurement is one that is to be taken again."""
    found = write_lab(tmp_path, experiment(measurements=["gradients"]))
    trial = tmp_path / "trials" / found.rows[0].trial
    (tmp_path / "mine" / "quick" / "made.json").write_text('{"environment": 5, "command": 7}')
    (trial / "made.json").write_text('{"environment": {"packages": 3}, "seconds": "x"}')
    (trial / "measured" / "gradients.json").write_text("[" * 100_000)
    page, _ = write_pages(tmp_path, "mine")
    assert "<h1>" in page.read_text()


def test_a_summary_without_its_table_leaves_nothing(tmp_path: Path) -> None:
    write_lab(tmp_path, experiment())
    (tmp_path / "mine" / "quick" / "results.csv").unlink()
    with pytest.raises(UserError, match=r"results.csv cannot be read: .* Run the experiment once more"):
        write_summary(read_record(tmp_path, "mine", "quick"), tmp_path / "docs")
    assert not [path for path in (tmp_path / "docs").rglob("*") if path.is_file()]


def test_papers_numbers_are_of_as_many_classes(tmp_path: Path) -> None:
    claims = [
        {"id": f"a-{classes}", "says": "So many.", "of": "a", "number": number, "classes": classes}
        for classes, number in ((10, "5.93"), (100, "25.16"))
    ]
    write_lab(tmp_path, experiment(claims=claims))
    found = record(tmp_path, "mine")
    for classes, value in ((10, 5.93), (100, 25.16), (None, 5.93)):
        assert errors.printed(replace(found, result={**found.result, "classes": classes}))["a"].value == value
