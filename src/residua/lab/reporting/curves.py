"""Figures over the passes of a training: errors and losses as the papers draw them, and gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from textwrap import fill
from typing import TYPE_CHECKING

from residua.lab.inside.style import GREY, HOLLOW, Look, logarithmic, styled
from residua.lab.reporting.drawing import Drawing
from residua.lab.reporting.looks import families, looks
from residua.lab.reporting.records import Course, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 4  # networks in one panel
ACROSS = 4  # small panels in a row
LINE = 28  # letters of a title
ALIKE = 1.15  # times as many parameters that two networks have at most to be compared
POINTS = 75  # of a curve at most: more could not be told apart
STEEP = 10  # times the least that the greatest must be for a logarithmic axis

Points = dict[float, list[float]]  # values of each seed, by pass
Courses = Mapping[str, Sequence[Course]]


@dataclass(frozen=True)
class Panel:
    """Networks that are drawn together; a reference is grey."""

    title: str
    labels: Sequence[str]
    reference: str | None = None


def curves(record: Record) -> Drawing | None:
    """Draw errors and losses over the passes, as v1's Figures 4 and 6; None without a training."""
    found = {label: each for label in record.labels if (each := record.courses(label))}
    if not any(course.passes for each in found.values() for course in each):
        return None
    panels = panels_of(record, list(found))
    small = len(panels) > 1 and not families(record)
    references = {panel.reference for panel in panels if panel.reference}
    named = references.pop() if len(references) == 1 else "the first network of about the same size"
    grey = f" In grey: {named}." if any(panel.reference for panel in panels) else ""
    loss = "" if small else " Below or beside it the loss: dashed in training, bold on held-out pictures."
    ends = [f"{label} ends at {_last(each):.3g}%" for label, each in found.items()]
    return Drawing(
        "curves",
        "How they learned",
        "Error on held-out pictures after each pass: the median over the seeds, and their range as a band; "
        f"the hollow mark at the end is the error on pictures trained on.{grey}{loss}",
        "Error over the passes: " + "; ".join(ends) + ".",
        ("label", "seed", "pass", "error", "training_loss", "loss"),
        [
            (label, course.seed, *line)
            for label, each in found.items()
            for course in each
            for line in zip(course.passes, course.error, course.training_loss, course.loss, strict=True)
        ],
        lambda: _paint(record, found, panels, small),
    )


def panels_of(record: Record, labels: Sequence[str]) -> list[Panel]:
    """Return which networks are drawn together: families, a few, or each beside what it is compared with."""
    if found := families(record):
        panels = [
            Panel(name, [label for _, label in sorted(depths.items()) if label in labels])
            for name, depths in found.items()
        ]
        return [panel for panel in panels if panel.labels]
    if len(labels) <= MOST:
        return [Panel("", labels)]
    return [Panel(label, [label], _compared(record, label, labels)) for label in labels]


def _compared(record: Record, label: str, labels: Sequence[str]) -> str | None:
    """Return the first network of about the same size."""
    sizes = {each: record.networks[each]["parameters"] for each in labels}
    first = next(
        each for each in labels if max(sizes[each], sizes[label]) <= ALIKE * min(sizes[each], sizes[label])
    )
    return first if first != label else None


def _last(courses: Sequence[Course]) -> float:
    ends = [error for course in courses for error in course.error[-1:] if error is not None]
    return median(ends) if ends else float("nan")


@styled
def _paint(record: Record, found: Courses, panels: Sequence[Panel], small: bool) -> Figure:
    return _many(record, found, panels) if small else _with_losses(record, found, panels)


def _many(record: Record, found: Courses, panels: Sequence[Panel]) -> Figure:
    """Errors alone, in small panels."""
    rows = -(-len(panels) // ACROSS)
    figure, places = _grid(rows, -(-len(panels) // rows), (2.9, 2.5), shared=True)
    for axes, panel in zip(places, panels, strict=False):
        _paint_errors(axes, record, found, panel)
    for axes in places[len(panels) :]:
        axes.remove()
    _scale_errors(places[: len(panels)], found)
    return figure


def _with_losses(record: Record, found: Courses, panels: Sequence[Panel]) -> Figure:
    """Errors, and the losses below them; of a single panel beside them."""
    count = len(panels)
    figure, places = _grid(min(2, count), max(2, count), (5.0, 3.6), shared=count > 1)
    for errors, losses, panel in zip(places[:count], places[count:], panels, strict=True):
        _paint_errors(errors, record, found, panel)
        _paint_losses(losses, record, found, panel)
    _scale_errors(places[:count], found)
    named = (zip(*axes.get_legend_handles_labels(), strict=True) for axes in places)
    names = {text: line for each in named for line, text in each}
    figure.legend(names.values(), names.keys(), loc="outside lower center", ncols=4)
    return figure


def _grid(rows: int, columns: int, size: tuple[float, float], shared: bool) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels of a size in inches, row by row; they may share their rows' scales."""
    from matplotlib.figure import Figure

    figure = Figure((size[0] * columns, size[1] * rows + 0.4), facecolor="white", layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey="row" if shared else False)
    return figure, [axes for row in grid for axes in row]


def _paint_errors(axes: Axes, record: Record, found: Courses, panel: Panel) -> None:
    drawn = looks(record)
    if panel.reference:
        grey = drawn[panel.reference]._replace(colour=GREY, dashes="solid")
        points = _points(found[panel.reference], lambda course: course.error)
        band(axes, points, grey, "", width=1.2, shade=0.0)
    for label in panel.labels:
        points = _points(found[label], lambda course: course.error)
        band(axes, points, drawn[label], label, width=2.4)
        if points and (seen := record.middle(label, "train_error")) is not None:
            hollow = {**HOLLOW, "linestyle": "none"}
            axes.plot([max(points)], [seen], color=drawn[label].colour, marker=drawn[label].marker, **hollow)
    _name(axes, "error, %", panel.title)


def _paint_losses(axes: Axes, record: Record, found: Courses, panel: Panel) -> None:
    for label in panel.labels:
        look = looks(record)[label]
        band(
            axes,
            _points(found[label], lambda course: course.loss),
            look._replace(dashes="solid"),
            "",
            width=2.4,
        )
        dashed = look._replace(dashes=(0, (3, 1.5)))
        band(axes, _points(found[label], lambda course: course.training_loss), dashed, "", width=1.1)
    logarithmic(axes)
    _name(axes, "loss", "", alone=not panel.title)


def _scale_errors(places: Sequence[Axes], found: Courses) -> None:
    every = [
        error for each in found.values() for course in each for error in course.error if error is not None
    ]
    for axes in places:
        if every and min(every) > 0 and max(every) > STEEP * min(every):
            logarithmic(axes)
        else:
            axes.set_ylim(bottom=0)


def _name(axes: Axes, quantity: str, title: str, alone: bool = False) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    subplot = axes.get_subplotspec()
    if subplot is None or subplot.is_first_col() or alone:
        axes.set_ylabel(quantity)
    axes.set_xlabel("passes")
    axes.set_title(fill(title, LINE))


def band(axes: Axes, points: Points, look: Look, label: str, width: float, shade: float = 0.15) -> None:
    """Draw the median over the seeds, and their range in a shade of it."""
    passes = sorted(points)
    passes = [*passes[: -1 : max(1, -(-len(passes) // POINTS))], *passes[-1:]]
    style = {"color": look.colour, "linestyle": look.dashes, "linewidth": width, "label": label}
    axes.plot(passes, [median(points[each]) for each in passes], **style)
    if shade:
        low, high = ([end(points[each]) for each in passes] for end in (min, max))
        axes.fill_between(passes, low, high, color=look.colour, alpha=shade, linewidth=0)


def _points(courses: Sequence[Course], of: Callable[[Course], Sequence[float | None]]) -> Points:
    found: Points = {}
    for course in courses:
        for place, value in zip(course.passes, of(course), strict=True):
            if value is not None:
                found.setdefault(place, []).append(value)
    return found


def ratios(record: Record) -> Drawing | None:
    """Draw how much of the gradient reaches the first unit as training goes on."""
    found = {label: _ratios(record, label) for label in record.labels if record.measured("gradients")}
    found = {label: each for label, each in found.items() if each}
    if not found:
        return None
    ends = [
        f"{label} from {_middle(each, min):.3g} to {_middle(each, max):.3g}" for label, each in found.items()
    ]
    return Drawing(
        "gradient-ratio",
        "The gradient through training",
        "The gradient's norm at the first unit, over that behind the last, before training (0) and after "
        "each pass: the median over the seeds, and their range.",
        "Ratio of gradients over the passes: " + "; ".join(ends) + ".",
        ("label", "seed", "pass", "ratio"),
        [
            (label, seed, *point)
            for label, each in found.items()
            for seed, line in each.items()
            for point in line
        ],
        lambda: _paint_ratios(record, found),
    )


Ratios = dict[int, list[tuple[float, float]]]  # pass and ratio, by seed


def _ratios(record: Record, label: str) -> Ratios:
    before = record.values(label, "gradients.initial_ratio")
    return {
        seed: ([(0.0, before[seed])] if seed in before else [])
        + [(each["epoch"], each["ratio"]) for each in passes if each["ratio"] is not None]
        for seed, passes in record.through_training(label).items()
    }


def _middle(found: Ratios, end: Callable[[list[float]], float]) -> float:
    points = _by_pass(found)
    return median(points[end(list(points))]) if points else float("nan")


def _by_pass(found: Ratios) -> Points:
    points: Points = {}
    for line in found.values():
        for place, ratio in line:
            points.setdefault(place, []).append(ratio)
    return points


@styled
def _paint_ratios(record: Record, found: Mapping[str, Ratios]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure((7.2, 4.2), facecolor="white", layout="constrained")
    axes = figure.subplots()
    for label, each in found.items():
        band(axes, _by_pass(each), looks(record)[label], label, width=2.0)
    axes.axhline(1, color=GREY, linewidth=1)
    logarithmic(axes)
    _name(axes, "gradient, first unit over last", "")
    figure.legend(loc="outside right center")
    return figure
