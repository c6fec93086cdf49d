"""The report of a run as one HTML file that needs no other, nor a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from residua import __version__
from residua.data.checking.checked import Progress
from residua.data.dataset import Data
from residua.data.pages import templates
from residua.files import check_files, check_unlinked, write_text
from residua.judging.reporting import charts, overview, words
from residua.judging.reporting.album import Album
from residua.judging.reporting.judged import WORST, Judged
from residua.judging.reporting.records import Records
from residua.judging.reporting.sources import Sources, gather
from residua.judging.runfiles import REPORT


@dataclass(frozen=True)
class Report:
    """A report that was written: where, what it says of the model, and what could not be had for it."""

    path: Path
    finished: bool  # whether the training was over
    judged: Judged | None
    missing: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain data, as docs/report.md describes it."""
        found = self.judged
        return {
            "report": str(self.path),
            "finished": self.finished,
            "samples": found and found.samples,
            "top1": found and found.top1,
            "top5": found and found.top5,
            "ece": found and found.calibration.ece,
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
    run, path = Records.read(folder), out or folder / REPORT
    check_files(path)
    if not out:
        check_unlinked(folder)
    sources = gather(run, data, progress)
    write_text(path, page(run, sources))
    return Report(path, run.finished, sources.judged, (*run.missing, *sources.missing))


def page(run: Records, sources: Sources) -> str:
    """Return the report of a run as HTML."""
    template = templates("residua.judging.reporting").get_template("run.html")
    missing = (*run.missing, *sources.missing)
    return template.render(_of_run(run) | _of_model(run, sources), missing=missing)


def _of_run(run: Records) -> dict[str, Any]:
    """Return what the page says of the training."""
    return {
        "title": " on ".join(overview.title(run)),
        "day": overview.day(run),
        "unfinished": "" if run.finished else words.unfinished(run),
        "passes": len(run.passes),
        "charts": charts.training_charts(run),
        "width": charts.WIDTH,
        "height": charts.HEIGHT,
        "parts": overview.parts(run),
        "class_sizes": overview.class_sizes(run),
        "sizes": overview.sizes(run),
        "findings": overview.findings(run),
        "bad": run.bad[: overview.NAMED],
        "bad_count": len(run.bad),
        "settings": overview.settings(run),
        "all_settings": overview.all_settings(run),
        "environment": overview.environment(run),
        "version": __version__,
    }


def _of_model(run: Records, sources: Sources) -> dict[str, Any]:
    """Return what the page says of the network."""
    found = sources.judged
    limits = words.limits(found, run)
    if found is None:
        return {"judged": None, "limits": limits}
    album = Album(sources.pictures, sources.model)
    return {
        "judged": found,
        "limits": limits,
        "verdict": words.verdict(found),
        "measured": words.measured(found, run),
        "learned": overview.learned(run),
        "worst": WORST,
        "dots": charts.reliability(found.calibration.bins),
        "side": charts.SIDE,
        "percents": charts.PERCENTS,
        "believed": words.believed(found.calibration),
        "mistakes": [album.show(each) for each in found.mistakes],
        "about_mistakes": words.mistakes(found),
        "label_errors": [album.show(each) for each in found.label_errors],
        "about_label_errors": words.label_errors(found),
    }
