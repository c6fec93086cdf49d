"""The report of a run: one HTML file with its curves, figures, classes and settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from residua import __version__
from residua.data.dataset import Data
from residua.files import replacing
from residua.training.settings import Settings

NAME = "report.html"
WIDTH, HEIGHT = 520, 180  # of a plot


@dataclass(frozen=True)
class Curve:
    """One line of a plot: its name and its points."""

    name: str
    points: str


@dataclass(frozen=True)
class Plot:
    """Curves over the passes, with the values at the bottom and the top."""

    title: str
    curves: tuple[Curve, ...]
    low: float
    high: float


def write_report(
    folder: Path, settings: Settings, data: Data, summary: dict[str, Any], passes: list[dict[str, Any]]
) -> None:
    """Write the report of a finished training."""
    environment = Environment(
        loader=PackageLoader("residua.training.telling"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    page = environment.get_template("run.html").render(
        summary=summary,
        classes=data.classes,
        plots=[
            plot("loss", passes, {"training": "train_loss", "held out": "val_loss"}),
            plot("accuracy, %", passes, {"held out": "val_top1"}),
            plot("images a second", passes, {"training": "images_per_second"}),
        ],
        width=WIDTH,
        height=HEIGHT,
        settings=yaml.safe_dump(_plain(settings.to_dict()), sort_keys=False, allow_unicode=True),
        version=__version__,
    )
    with replacing(folder / NAME) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="backslashreplace")


def plot(title: str, passes: list[dict[str, Any]], names: dict[str, str]) -> Plot:
    """Draw values of the passes as lines; what is no number is left out."""
    values = {name: [(line["epoch"], line[key]) for line in passes] for name, key in names.items()}
    numbers = [value for pairs in values.values() for _, value in pairs if value is not None] or [0.0]
    low, high, last = min(numbers), max(numbers), max([line["epoch"] for line in passes], default=1)
    curves = tuple(Curve(name, _points(pairs, low, high, last)) for name, pairs in values.items())
    return Plot(title, curves, low, high)


def _points(pairs: list[tuple[int, float | None]], low: float, high: float, last: int) -> str:
    across, up = WIDTH / max(1, last - 1), HEIGHT / ((high - low) or 1)
    return " ".join(
        f"{(epoch - 1) * across:.1f},{HEIGHT - (value - low) * up:.1f}"
        for epoch, value in pairs
        if value is not None
    )


def _plain(value: Any) -> Any:
    """Turn tuples into lists, as YAML shows them."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
