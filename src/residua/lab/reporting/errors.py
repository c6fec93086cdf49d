"""Figures of what trainings ended with: every seed beside what the papers print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from residua.lab.claims import Claim
from residua.lab.inside.style import GREY, Look, logarithmic, styled
from residua.lab.reporting.curves import STEEP
from residua.lab.reporting.drawing import Drawing
from residua.lab.reporting.looks import Families, families, looks
from residua.lab.reporting.records import Record
from residua.lab.verdicts import APART

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.42  # inches
BESIDE = 1.03  # times the depth, so that two families are not on top of each other
SEEN = (0, (1, 2))
CLOSE = 0.6  # of the greatest, above which all errors lie where an axis does not begin at 0
CLASSES = 10  # of the papers' pictures that stand beside those of no such data
KINDS = {"running": "o", "batch": "s", "exact": "^"}
STATISTICS = tuple(f"statistics.{kind}" for kind in KINDS)
Printed = Mapping[str, "Number"]


@dataclass(frozen=True)
class Number:
    """An error that a paper prints of a network, or a bound of one."""

    value: float
    bound: bool
    beside: bool  # whether it was measured in another way, so that it stands on an axis of its own


def printed(record: Record) -> dict[str, Number]:
    """Return the papers' errors by label, trained here or not; only those for such data, if any are."""
    found: dict[bool, dict[str, Number]] = {True: {}, False: {}}
    classes = record.result.get("classes") or CLASSES
    for row in record.claims:
        claim, beside = row["claim"], row["verdict"] == APART
        if claim.get("classes", CLASSES) != classes:
            continue
        if claim.get("quantity") != "error" or not claim.get("of") or "over" in claim:
            continue
        value = Claim.read(dict(claim), record.name).printed[0] if "number" in claim else claim.get("above")
        if value is not None:
            found[beside].setdefault(claim["of"], Number(value, "number" not in claim, beside))
    return found[False] or found[True]


def errors(record: Record) -> Drawing | None:
    """Draw the error of every network: over the depth where that is what differs, else in rows."""
    if not any(record.values(label, "error") for label in record.labels):
        return None
    deep, numbers = families(record), printed(record)
    drawn = [*record.labels, *(f"{name}-{depth}" for name in deep for depth in _of_family(name, numbers))]
    numbers = {label: each for label, each in numbers.items() if label in drawn}
    where = "beside it, on an axis of their own, as they are of other pictures or longer trainings"
    paper = ""
    if numbers:
        where = where if any(each.beside for each in numbers.values()) else "in the same axes"
        bounds = " An arrow is a bound (“above”)." if any(each.bound for each in numbers.values()) else ""
        paper = f" Hollow diamonds are the papers' errors, {where}.{bounds}"
    how = "The line goes through the medians, the thin dashed one through the errors on pictures trained on."
    middles = [
        f"{label} {value:.3g}%"
        for label in record.labels
        if (value := record.middle(label, "error")) is not None
    ]
    return Drawing(
        "errors",
        "Error over depth" if deep else "Error of each network",
        "Error on held-out pictures after the last update, a dot for each seed. "
        + (how if deep else "The bar is the median." + _beginning(_in_rows(record, numbers)))
        + paper,
        "Median errors: " + "; ".join(middles) + ".",
        ("label", "seed", "error", "train_error", "paper"),
        [
            (label, seed, error, record.values(label, "train_error").get(seed), _said(numbers.get(label)))
            for label in record.labels
            for seed, error in record.values(label, "error").items()
        ]
        + [
            (label, None, None, None, _said(numbers[label]))
            for label in numbers
            if label not in record.labels
        ],
        lambda: _paint_depths(record, deep, numbers) if deep else _paint_rows(record, numbers),
    )


def _in_rows(record: Record, numbers: Printed) -> list[float]:
    """Return all errors on the axis of those measured here; the papers' may share it."""
    return _every(record, "error") + [each.value for each in numbers.values() if not each.beside]


def _every(record: Record, *quantities: str) -> list[float]:
    return [
        value
        for label in record.labels
        for quantity in quantities
        for value in record.values(label, quantity).values()
    ]


def _said(number: Number | None) -> str | float | None:
    if number is None:
        return None
    return f">{number.value:g}" if number.bound else number.value


@styled
def _paint_rows(record: Record, numbers: Printed) -> Figure:
    apart = any(each.beside for each in numbers.values())
    figure, places = _rows(record.labels, 2 if apart else 1)
    axes, paper = places[0], places[-1]
    for place, label in enumerate(record.labels):
        look, values = looks(record)[label], list(record.values(label, "error").values())
        _dots(axes, values, place, look, look.marker)
        middle = record.middle(label, "error")
        if middle is not None:
            axes.plot([middle, middle], [place - 0.3, place + 0.3], color=look.colour, linewidth=2.4)
        if label in numbers:
            _diamond(paper, numbers[label], place, "x")
    _scale(axes, _in_rows(record, numbers))
    axes.set_xlabel(f"error here, % ({record.data})")
    if apart:
        paper.set_xlabel("error in the papers, %")
        most = max(each.value for each in numbers.values())
        paper.set_xlim(-0.02 * most, 1.08 * most)
    return figure


def _rows(labels: Sequence[str], panels: int) -> tuple[Figure, Sequence[Axes]]:
    """Begin a figure with a row for each network."""
    from matplotlib.figure import Figure

    count = len(labels)
    size = (11.0 if panels == 2 else 8.0, 1.1 + ROW * count)
    figure = Figure(size, facecolor="white", layout="constrained")
    ratios = [3, 2] if panels == 2 else [1]
    places = figure.subplots(1, panels, squeeze=False, sharey=True, width_ratios=ratios)[0]
    places[0].set_yticks(range(count), labels)
    places[0].set_ylim(count - 0.4, -0.6)
    return figure, places


def _dots(axes: Axes, values: Sequence[float], place: float, look: Look, marker: str) -> None:
    axes.scatter(
        values, [place] * len(values), color=look.colour, marker=marker, s=34, alpha=0.7, linewidth=0
    )


def _diamond(axes: Axes, number: Number, place: float, along: str) -> None:
    """Mark a paper's number on the axis of errors, which lies along x or y."""
    marker = "D" if not number.bound else (">" if along == "x" else "^")
    spot = (number.value, place) if along == "x" else (place, number.value)
    axes.plot(
        *spot, marker=marker, color=GREY, markerfacecolor="white", markersize=7, linestyle="none", zorder=3
    )


def _scale(axes: Axes, values: Sequence[float]) -> None:
    """Begin the axis of errors at 0, unless they differ too much, or so little that nothing could be seen."""
    least, most = min(values), max(values) or 1.0
    if least > 0 and most > STEEP * least:
        logarithmic(axes, "x")
    elif _close(values):
        aside = 0.08 * (most - least) or 1.0
        axes.set_xlim(least - aside, most + aside)
    else:
        axes.set_xlim(-0.02 * most, 1.05 * most)


def _close(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > CLOSE * max(values)


def _beginning(values: Sequence[float]) -> str:
    """Say of an axis of these errors that it does not begin at 0, if it does not."""
    return " The axis does not begin at 0." if _close(values) else ""


@styled
def _paint_depths(record: Record, deep: Families, numbers: Printed) -> Figure:
    from matplotlib.figure import Figure

    said = {name: _of_family(name, numbers) for name in deep}
    apart = any(each.beside for depths in said.values() for each in depths.values())
    figure = Figure((10.0 if apart else 7.0, 4.2), facecolor="white", layout="constrained")
    axes, *others = figure.subplots(1, 2 if apart else 1, squeeze=False)[0]
    paper = others[0] if apart else axes
    middle = (len(deep) - 1) / 2
    for place, (name, depths) in enumerate(deep.items()):
        look = looks(record)[next(iter(depths.values()))]
        _paint_family(axes, record, depths, look, BESIDE ** (place - middle))
        axes.plot([], [], color=GREY, linestyle=look.dashes, marker=look.marker, label=name)
        ends = sorted(depth for depth, each in said[name].items() if not each.bound)
        middles = [said[name][depth].value for depth in ends]
        paper.plot(ends, middles, color=GREY, linestyle=look.dashes, linewidth=1)
        for depth, number in said[name].items():
            _diamond(paper, number, depth, "y")
    axes.plot([], [], color=GREY, linestyle=SEEN, linewidth=1, label="on pictures trained on")
    axes.plot(
        [], [], color=GREY, marker="D", markerfacecolor="white", linestyle="none", label="in the papers"
    )
    _deepen(axes, [depth for depths in deep.values() for depth in depths])
    axes.set_ylabel(f"error here, % ({record.data})")
    if apart:
        _deepen(paper, [depth for depths in said.values() for depth in depths])
        paper.set_ylabel("error in the papers, %")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def _of_family(name: str, numbers: Printed) -> dict[int, Number]:
    """Return what the papers print of a family, by depth."""
    behind = {
        label.removeprefix(f"{name}-"): each for label, each in numbers.items() if label.startswith(name)
    }
    return {int(depth): each for depth, each in behind.items() if depth.isdigit()}


def _deepen(axes: Axes, depths: Sequence[int]) -> None:
    """Make x an axis of depths, and begin y at 0."""
    ticks = sorted(set(depths))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("depth, layers")
    axes.set_xscale("log")
    axes.set_xticks(ticks, [str(depth) for depth in ticks])
    axes.minorticks_off()
    axes.set_xlim(0.85 * ticks[0], 1.18 * ticks[-1])


def _paint_family(axes: Axes, record: Record, depths: Mapping[int, str], look: Look, aside: float) -> None:
    """Draw a family's medians as a line, and the seeds in the colours of their depths."""
    trained = [(depth, label) for depth, label in sorted(depths.items()) if record.values(label, "error")]
    places = [depth * aside for depth, _ in trained]
    for quantity, dashes, width in (("error", look.dashes, 1.6), ("train_error", SEEN, 1.0)):
        middles = [record.middle(label, quantity) or 0.0 for _, label in trained]
        axes.plot(places, middles, color=GREY, linestyle=dashes, linewidth=width)
    for place, (_, label) in zip(places, trained, strict=True):
        values = list(record.values(label, "error").values())
        own = looks(record)[label]
        axes.scatter([place] * len(values), values, color=own.colour, marker=own.marker, s=36, alpha=0.75)


def statistics(record: Record) -> Drawing | None:
    """Draw the error with running, batch and exact statistics; None where they were not measured."""
    if not record.measured("statistics"):
        return None
    return Drawing(
        "statistics",
        "Which statistics the norms use",
        "Error on held-out pictures of the same trained networks with running averages, with each batch's "
        "own statistics, and with exact averages over batches of training; a mark for each seed."
        + _beginning(_every(record, *STATISTICS)),
        "Errors by kind of statistics, as in the table.",
        ("label", "seed", *KINDS),
        [
            (label, seed, *(record.values(label, f"statistics.{kind}").get(seed) for kind in KINDS))
            for label in record.labels
            for seed in record.values(label, "statistics.running")
        ],
        lambda: _paint_statistics(record),
    )


@styled
def _paint_statistics(record: Record) -> Figure:
    labels = [label for label in record.labels if record.values(label, "statistics.running")]
    figure, (axes,) = _rows(labels, 1)
    for place, label in enumerate(labels):
        for shift, (kind, marker) in zip((-0.22, 0.0, 0.22), KINDS.items(), strict=True):
            values = list(record.values(label, f"statistics.{kind}").values())
            _dots(axes, values, place + shift, looks(record)[label], marker)
    _scale(axes, _every(record, *STATISTICS))
    for kind, marker in KINDS.items():
        axes.plot([], [], color=GREY, marker=marker, linestyle="none", label=f"{kind} statistics")
    axes.set_xlabel("error, %")
    figure.legend(loc="outside lower center", ncols=3)
    return figure
