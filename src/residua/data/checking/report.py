"""A page about checked data: whole in one file, for a browser on any computer or phone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from residua import __version__
from residua.data.checking.findings import Finding, Item, exit_code, findings, verdict
from residua.data.checking.overview import Overview
from residua.data.dataset import PARTS
from residua.data.facts import BadImageError
from residua.data.pages import round_step, templates, webp
from residua.files import write_text

THUMBNAIL = 112  # pixels on screens that show two for one
BESIDE = 6  # equal pictures shown side by side
ROWS = 60  # classes with a bar
GRID = 48  # cells along an axis of the sizes
PLOT = 320  # side of the sizes' plot
TICKS = 4


@dataclass(frozen=True)
class Bar:
    """One class: its pictures by part, and how long its bar is in percent of the longest."""

    name: str
    total: int
    pieces: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Dot:
    """Pictures of about one size, in the plot's coordinates."""

    x: float
    y: float
    radius: float
    label: str


@dataclass(frozen=True)
class Card:
    """One picture: a thumbnail where it can be read."""

    name: str
    about: str
    image: str | None


def write_report(path: Path, found: Overview) -> None:
    """Write everything that was found as one HTML file that needs no other."""
    every = findings(found)
    page = (
        templates("residua.data.checking")
        .get_template("report.html")
        .render(
            found=found,
            level=("clean", "look", "unusable")[exit_code(found)],
            verdict=verdict(found),
            findings=[(finding, _cards(found, finding)) for finding in every],
            bars=_bars(found),
            between=max(0, len(found.data.classes) - ROWS),
            dots=_dots(found),
            ticks=_ticks(found),
            plot=PLOT,
            version=__version__,
        )
    )
    write_text(path, page)


def _bars(found: Overview) -> list[Bar]:
    """Return the classes in their order or, of very many, the largest and the smallest."""
    sizes = found.class_sizes
    places = np.arange(len(sizes))
    if len(sizes) > ROWS:
        order = np.argsort(-sizes, kind="stable")
        places = np.concatenate([order[: ROWS // 2], order[-ROWS // 2 :]])
    longest = max(int(sizes.max(initial=0)), 1)
    return [_bar(found, place, longest) for place in places.tolist()]


def _bar(found: Overview, place: int, longest: int) -> Bar:
    counts = dict(zip(PARTS, found.counts[place].tolist(), strict=True))
    total = int(found.class_sizes[place])
    counts["unsplit"] = total - sum(counts.values())
    pieces = tuple((part, 100 * count / longest) for part, count in counts.items() if count)
    return Bar(found.data.classes[place], total, pieces)


def _largest(found: Overview) -> int:
    return int(max((values["max"] for values in found.sizes.values()), default=0))


def _dots(found: Overview) -> list[Dot]:
    """Gather the pictures' sizes in the cells of a grid: few dots, however many pictures."""
    records = found.checked.records[found.checked.good]
    cell = max(_largest(found) / GRID, 1)
    sides = np.stack([records["width"], records["height"]], 1)
    cells, first, counts = np.unique(sides // cell, axis=0, return_index=True, return_counts=True)
    scale = PLOT / max(_largest(found), 1)
    dots = []
    for place in range(len(cells)):
        width, height = sides[first[place]].tolist()
        radius = 2 + 8 * float(np.sqrt(counts[place] / counts.max()))
        label = f"{counts[place]:,} of about {width} x {height}"
        dots.append(Dot(width * scale, PLOT - height * scale, radius, label))
    return dots


def _ticks(found: Overview) -> list[tuple[int, float]]:
    """Round numbers of pixels along an axis, and where they stand."""
    largest = _largest(found)
    if not largest:
        return []
    step = max(1, round(round_step(largest, TICKS)))
    return [(value, value * PLOT / largest) for value in range(0, largest + 1, step)]


def _cards(found: Overview, finding: Finding) -> list[tuple[Item, list[Card]]]:
    return [(item, [_card(found, place) for place in item.places[:BESIDE]]) for item in finding.items]


def _card(found: Overview, place: int) -> Card:
    image = None if place in found.checked.reasons else _thumbnail(found, place)
    return Card(found.data.names[place], found.class_and_part(place), image)


def _thumbnail(found: Overview, place: int) -> str | None:
    """Return a small version of a picture as a data URI."""
    try:
        pixels = found.data.read(place, "rgb", _fitting)
    except BadImageError:  # it is gone since it was checked
        return None
    picture = Image.fromarray(pixels)
    if max(picture.size) > THUMBNAIL:
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return webp(picture)


def _fitting(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, THUMBNAIL / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
