"""The report of a run as one HTML file that needs no other, nor a network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from residua import __version__
from residua.data.checking.checked import Progress
from residua.data.checking.findings import visible
from residua.data.dataset import Data
from residua.files import replacing
from residua.judging.reporting import charts, diagram, overview, words
from residua.judging.reporting.album import Album
from residua.judging.reporting.judged import WORST, Judged
from residua.judging.reporting.records import Records
from residua.judging.reporting.sources import judged, model, pictures

NAME = "report.html"
LONGEST = 160  # characters of a name


@dataclass(frozen=True)
class Report:
    """A report that was written: where, what it says of the model, and what could not be had for it."""

    path: Path
    finished: bool  # whether the training was over
    judged: Judged | None
    missing: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain data, as docs/report.md describes it."""
        figures = ("samples", "top1", "top5", "ece")
        return {
            "report": str(self.path),
            "finished": self.finished,
            **{name: getattr(self.judged, name, None) for name in figures},
            "missing": list(self.missing),
        }


def write_report(
    folder: Path,
    out: Path | None = None,
    *,
    data: Data | str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Write the report of a run, finished or not, into its folder or `out`.

    It is made of the folder's files, and shows pictures of the run's data, or of `data` where they lie now. A
    run that is not finished is judged first; `progress` hears how far that is.
    """
    run, path = Records(folder), out or folder / NAME
    there = data if isinstance(data, Data) else pictures(run, data)
    best = model(run)
    found = judged(run, best, there, progress)
    page = _page(run, found, Album(there, best))
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="backslashreplace")
    return Report(path, run.finished, found, tuple(run.missing))


def _page(run: Records, found: Judged | None, album: Album) -> str:
    everything = {  # all of it is read before the page says what is missing
        "title": overview.title(run),
        "day": overview.day(run),
        "charts": charts.training_charts(run),
        "parts": overview.parts(run),
        "class_sizes": overview.class_sizes(run),
        "sizes": overview.sizes(run),
        "findings": overview.findings(run),
        "bad": run.bad,
        "settings": overview.settings(run),
        "all_settings": overview.all_settings(run),
        "environment": overview.environment(run),
        "limits": words.limits(found, run),
    }
    template = _templates().get_template("run.html")
    return template.render(
        everything,
        run=run,
        judged=found,
        album=album,
        words=words,
        plot=charts,
        diagram=diagram,
        named=overview.NAMED,
        worst=WORST,
        version=__version__,
    )


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("residua.judging.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"visible": _short, "lines": _lines, "percent": _percent, "count": _count}
    return environment


def _short(text: Any, longest: int = LONGEST) -> str:
    """Write a name for people: on one line, and not too long."""
    seen = visible(str(text))
    half = longest // 2
    return seen if len(seen) <= longest else f"{seen[:half]} ... {seen[-half:]}"


def _lines(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))


def _percent(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}%"


def _count(value: int) -> str:
    return f"{value:,}"
