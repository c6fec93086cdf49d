"""Where everything in a drawing of networks lies, in inches from the page's upper left corner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from residua.nets.drawing.pieces import GATE, HIDDEN, TIMES, Picture, Run, Stage

BOX, GAP = 0.2, 0.12  # heights
LEAD, TAIL = 0.06, 0.14  # of a unit: above its first box; from its last box to the middle of the addition
FORK = 0.1  # from where the shortcut leaves to the first box
SUM = 0.05  # radius of the addition
PILL = 0.14  # height of an activation that is drawn
DEPTH = 0.06  # how far a stack's last box looks out
BAND_GAP = 0.2  # between bands of equal output side
BULGE = 0.26  # how far a shortcut swings out
MARGIN, BETWEEN = 0.35, 0.35
SIDES = 0.85  # room for the output sides
BRACKET = 0.25  # beside a stack, without its count
TITLE, NOTE = 0.22, 0.155  # heights of lines
LEGEND, SWATCH = 0.2, 0.45  # of one line of the legend: height, room for the sample
TITLE_SIZE, NOTE_SIZE, BOX_SIZE, TINY_SIZE = 11.0, 8.0, 7.5, 6.0  # of text, in points


@dataclass(frozen=True)
class Column:
    """One network, the x of its middle, the tops of its runs and its stages in the order of their colours."""

    picture: Picture
    middle: float
    tops: tuple[float, ...]
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Band:
    """Images of one output side: the line above them, the top of the first boxes, and the x between."""

    side: int
    line: float
    top: float
    left: float
    right: float


@dataclass(frozen=True)
class Page:
    """All that is painted."""

    width: float
    height: float
    bottom: float  # of the networks; the legend is below
    box_width: float
    image_top: float
    columns: tuple[Column, ...]
    bands: tuple[Band, ...]
    legend: tuple[tuple[str, str], ...]  # sample and text


def lay_out(pictures: Sequence[Picture]) -> Page:
    """Put networks side by side; of images equally large, equal output sides are level and coloured alike."""
    pieces = [run.piece for picture in pictures for run in picture.runs]
    box_width = 0.2 + max(text_width(label, BOX_SIZE) for piece in pieces for label in piece.boxes)
    image_top = MARGIN + TITLE + max(len(picture.notes) for picture in pictures) * NOTE + 0.12
    columns: list[Column] = []
    bands: list[Band] = []
    x, bottom = MARGIN, 0.0
    for flock in _flocks(pictures):
        left, x = x, x + SIDES
        stages = tuple(sorted({run.piece.stage for one in flock for run in one.runs if run.piece.stage}))
        begins, tops, end = _stacked(flock, image_top + BOX + BAND_GAP)
        for picture, heights in zip(flock, tops, strict=True):
            before, behind = _reach(picture, box_width)
            columns.append(Column(picture, x + before, tuple(heights), stages))
            x += before + behind + BETWEEN
        bands += [Band(*begin, left, x - BETWEEN) for begin in begins]
        bottom = max(bottom, end)
    legend = tuple(_legend(pictures))
    wide = max(MARGIN + SWATCH * bool(sample) + text_width(text, NOTE_SIZE) for sample, text in legend)
    return Page(
        width=max(x - BETWEEN, wide) + MARGIN,
        height=bottom + 0.35 + len(legend) * LEGEND + MARGIN,
        bottom=bottom,
        box_width=box_width,
        image_top=image_top,
        columns=tuple(columns),
        bands=tuple(bands),
        legend=legend,
    )


def lead(run: Run) -> float:
    """From the top of a run to its first box."""
    piece = run.piece
    return piece.unit * LEAD + run.stacked * DEPTH + bool(piece.activation) * (PILL + FORK)


def gap(run: Run) -> float:
    """Between the boxes of a run."""
    return GAP + run.stacked * DEPTH


def height(run: Run) -> float:
    """All of a run; a plain unit is as high as a residual one, so that the two lie side by side."""
    boxes = len(run.piece.boxes)
    return lead(run) + boxes * BOX + (boxes - 1) * gap(run) + run.piece.unit * (TAIL + SUM)


def text_width(text: str, size: float) -> float:
    """Width in inches of the widest line, near enough for DejaVu Sans."""
    widths = dict.fromkeys(" ,./()'il", 0.34) | dict.fromkeys("mwMW", 0.95)
    return max(sum(widths.get(c, 0.63) for c in line) for line in text.split("\n")) * size / 72


def _flocks(pictures: Sequence[Picture]) -> list[list[Picture]]:
    """Neighbours whose output sides can be level: images are equally large, and no side grows again."""
    flocks: list[list[Picture]] = []
    for one in pictures:
        if flocks and one.image == flocks[-1][0].image and _shrinks(one) and _shrinks(flocks[-1][0]):
            flocks[-1].append(one)
        else:
            flocks.append([one])
    return flocks


def _shrinks(one: Picture) -> bool:
    return all(before >= behind for before, behind in pairwise(map(_side, one.runs)))


Begin = tuple[int, float, float]


def _stacked(flock: list[Picture], y: float) -> tuple[list[Begin], list[list[float]], float]:
    """Begins of the bands from y downwards, the tops of each network's runs, and the end."""
    begins: list[Begin] = []
    tops: list[list[float]] = [[] for _ in flock]
    for side, row in _rows(flock):
        first_box = y + max(lead(runs[0]) for runs in row if runs)
        begins.append((side, y - BAND_GAP / 2, first_box))
        for heights, runs in zip(tops, row, strict=True):
            end = first_box - lead(runs[0]) if runs else 0.0
            for run in runs:
                heights.append(end)
                end += height(run) + GAP
            y = max(y, end - GAP + BAND_GAP)
    return begins, tops, y - BAND_GAP


def _rows(flock: list[Picture]) -> list[tuple[int, list[list[Run]]]]:
    """For each output side, every network's runs."""
    columns = [[(side, list(runs)) for side, runs in groupby(one.runs, _side)] for one in flock]
    if len(flock) == 1:  # sides may grow again, as before a VGG's classifier
        return [(side, [runs]) for side, runs in columns[0]]
    sides = sorted({side for column in columns for side, _ in column}, reverse=True)
    return [(side, [dict(column).get(side, []) for column in columns]) for side in sides]


def _side(run: Run) -> int:
    return run.piece.side


def _reach(picture: Picture, box_width: float) -> tuple[float, float]:
    """How far a network reaches to the left and to the right of its middle."""
    shortcuts = [run.piece.shortcut for run in picture.runs if run.piece.shortcut]
    arcs = max((BULGE + 0.06 + text_width(shortcut.label, TINY_SIZE) for shortcut in shortcuts), default=0.0)
    counts = [text_width(f"{TIMES} {run.count}", NOTE_SIZE) for run in picture.runs if run.stacked]
    bracket = BRACKET + max(counts) if counts else 0.0
    lines = [text_width(note, NOTE_SIZE) for note in picture.notes]
    title = max(text_width(picture.title, TITLE_SIZE) * 1.1, *lines) / 2
    return max(title, box_width / 2 + bracket), max(title, box_width / 2 + arcs)


def _legend(pictures: Sequence[Picture]) -> Iterator[tuple[str, str]]:
    """Sample and text of what occurs."""
    runs = [run for picture in pictures for run in picture.runs]
    shortcuts = [run.piece.shortcut for run in runs if run.piece.shortcut]
    if any(not shortcut.dashed for shortcut in shortcuts):
        yield "solid", "identity shortcut"
    if any(shortcut.dashed for shortcut in shortcuts):
        yield "dashed", "shortcut with a projection or subsampling"
    if shortcuts:
        yield "sum", "addition"
    if any(run.stacked for run in runs):
        yield "stack", f"{TIMES} n: n units alike, one after the other"
    if any(shortcut.label.endswith(GATE) for shortcut in shortcuts):
        yield "", "g: the gate, a 1x1 convolution and a sigmoid"
    shared = any(run.piece.activation for run in runs)
    if shared:
        yield "pill", "shared by residual and shortcut"
    hidden = [name for name in HIDDEN.values() if any(name in picture.hidden for picture in pictures)]
    if hidden:
        yield "", f"Not drawn{' elsewhere' * shared}: {', '.join(hidden)}"
