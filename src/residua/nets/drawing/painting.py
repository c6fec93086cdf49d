"""Drawings of networks side by side, as in the residual networks paper's Figure 3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from residua.errors import UserError
from residua.files import replacing
from residua.nets.drawing import layout as lay
from residua.nets.drawing.layout import BOX, FORK, SUM, TAIL, Column, Page
from residua.nets.drawing.pieces import TIMES, Run, Shortcut, picture
from residua.nets.drawing.saving import fixed, kind_of, rendered
from residua.nets.plan import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

DOTS_PER_INCH = 200
LONGEST = 2**15  # dots that an image may be wide or high

Point = tuple[float, float]
Colours = tuple[str, str]
"""Fill and edge."""

INK, SOFT, FAINT = "#1f2430", "#626b7a", "#d9dde3"
PAPER: Colours = ("white", "#8b93a1")
NEUTRAL: Colours = ("#f3f4f6", "#8b93a1")
# One stage after the other. Light and darker take turns, so that neighbours differ in grey print and to
# every eye; all are light enough for black text.
STAGES: tuple[Colours, ...] = (
    ("#e6def6", "#7a68b3"),
    ("#a3cf9f", "#42803f"),
    ("#fdebcb", "#bb8326"),
    ("#99c0e6", "#346a9e"),
    ("#fbe0e0", "#b96470"),
    ("#8cc7be", "#2a776d"),
    ("#f5f0bd", "#938a2c"),
)
HEAD = 0.06  # of an arrow, in inches
DASHES: dict[str, Any] = {"solid": "solid", "dashed": (0, (2.6, 1.6))}


def draw(plans: Sequence[Plan], file: Path) -> None:
    """Draw networks side by side into an .svg or .png file."""
    kind = kind_of(file)
    if not plans:
        raise UserError("there is nothing to draw: name at least one network.")
    data = _drawn(lay.lay_out([picture(plan) for plan in plans]), kind)
    with replacing(file) as temporary:
        temporary.write_bytes(data)


@fixed()
def _drawn(page: Page, kind: str) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure((page.width, page.height), facecolor="white")
    _paint(_Brush(figure, page), page)
    return rendered(figure, kind, min(DOTS_PER_INCH, LONGEST / max(page.width, page.height)))


class _Brush:
    """Paints on a page, in inches from its upper left corner."""

    def __init__(self, figure: Figure, page: Page) -> None:
        self.axes = figure.add_axes((0, 0, 1, 1), xlim=(0, page.width), ylim=(page.height, 0))
        self.axes.axis("off")
        self.painted: Counter[str] = Counter()

    def text(self, x: float, y: float, text: str, size: float, **look: Any) -> None:
        """Write lines whose capitals are centred on a height, whichever letters they have."""
        lines = text.split("\n")
        look = {"ha": "center", "color": INK} | look
        for number, line in enumerate(lines):
            baseline = y + (0.36 + 1.25 * (number - (len(lines) - 1) / 2)) * size / 72
            self.axes.text(x, baseline, line, fontsize=size, va="baseline", zorder=5, **look)

    def box(self, x: float, y: float, width: float, height: float, colours: Colours, name: str = "") -> None:
        """Paint a rounded box: x is its middle, y its top."""
        from matplotlib.patches import FancyBboxPatch

        style = f"round,pad=0,rounding_size={min(0.06, height / 2)}"
        patch = FancyBboxPatch((x - width / 2, y), width, height, style, linewidth=0.8, zorder=3)
        patch.set(facecolor=colours[0], edgecolor=colours[1])
        self._add(patch, name)

    def line(self, points: Sequence[Point], curved: bool = False, name: str = "", **look: Any) -> None:
        """Draw a line; a curved one swings from the second point to the fifth."""
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path as Route

        codes = [Route.MOVETO] + [Route.LINETO] * (len(points) - 1)
        if curved:
            codes[2:5] = [Route.CURVE4] * 3
        look = {"edgecolor": INK, "linewidth": 0.8, "zorder": 2, "capstyle": "butt"} | look
        self._add(PathPatch(Route(points, codes), facecolor="none", **look), name)

    def arrow(self, points: Sequence[Point], **look: Any) -> None:
        """Draw a line with a head that points down or to the left."""
        from matplotlib.patches import Polygon

        (x, y), half = points[-1], HEAD / 2.4
        down = points[-2][0] == x
        base = (x, y - HEAD) if down else (x + HEAD, y)
        self.line([*points[:-1], base], **look)
        (dx, dy) = (half, 0) if down else (0, half)
        corners = [(x, y), (base[0] - dx, base[1] - dy), (base[0] + dx, base[1] + dy)]
        self._add(Polygon(corners, facecolor=INK, edgecolor="none", zorder=4))

    def addition(self, x: float, y: float) -> None:
        """Paint a plus in a circle."""
        from matplotlib.patches import Circle

        self._add(Circle((x, y), SUM, facecolor="white", edgecolor=INK, linewidth=0.8, zorder=3))
        for dx, dy in ((SUM * 0.55, 0), (0, SUM * 0.55)):
            self.line([(x - dx, y - dy), (x + dx, y + dy)], zorder=4)

    def _add(self, patch: Patch, name: str = "") -> None:
        """Paint, and number what has a name for readers of the SVG."""
        if name:
            self.painted[name] += 1
            patch.set_gid(f"{name}-{self.painted[name]}")
        self.axes.add_patch(patch)


def _paint(brush: _Brush, page: Page) -> None:
    for band in page.bands:
        brush.line([(band.left, band.line), (band.right, band.line)], edgecolor=FAINT, zorder=0)
        brush.text(band.left, band.top - 0.01, "output size", lay.TINY_SIZE, ha="left", color=SOFT)
        brush.text(band.left, band.top + 0.15, f"{band.side}", lay.TITLE_SIZE, ha="left")
    for column in page.columns:
        _paint_column(brush, page, column)
    _paint_legend(brush, page)


def _paint_column(brush: _Brush, page: Page, column: Column) -> None:
    colours = dict(zip(column.stages, cycle(STAGES), strict=False))
    x, y = column.middle, lay.MARGIN + lay.TITLE / 2
    brush.text(x, y, column.picture.title, lay.TITLE_SIZE, weight="bold")
    for number, note in enumerate(column.picture.notes):
        brush.text(x, y + lay.TITLE + number * lay.NOTE, note, lay.NOTE_SIZE, color=SOFT)
    brush.box(x, page.image_top, page.box_width / 2, BOX, PAPER)
    brush.text(x, page.image_top + BOX / 2, "image", lay.BOX_SIZE)
    above = page.image_top + BOX
    for top, run in zip(column.tops, column.picture.runs, strict=True):
        look = colours[run.piece.stage] if run.piece.stage else NEUTRAL
        if run.piece.activation:
            _paint_pill(brush, x, top, run.piece.activation)
        first = top + lay.lead(run)
        bottom = _paint_boxes(brush, run, (x, above), first, page.box_width, look)
        above = bottom
        if run.piece.shortcut:
            brush.line([(x, bottom), (x, bottom + TAIL)])
            fork = first - FORK - run.stacked * lay.DEPTH
            _paint_shortcut(brush, run.piece.shortcut, x, page.box_width / 2, (fork, bottom + TAIL))
            brush.text(x - SUM - 0.04, bottom + TAIL, run.piece.gain, lay.TINY_SIZE, ha="right", color=SOFT)
            above += TAIL + SUM


def _paint_pill(brush: _Brush, x: float, y: float, text: str) -> None:
    brush.box(x, y, lay.text_width(text, lay.TINY_SIZE) + 0.14, lay.PILL, PAPER)
    brush.text(x, y + lay.PILL / 2, text, lay.TINY_SIZE)


def _paint_boxes(brush: _Brush, run: Run, start: Point, top: float, width: float, colours: Colours) -> float:
    """Paint a run's boxes with the arrows to them, and return the bottom of the last."""
    (x, above), y = start, top
    for label in run.piece.boxes:
        depth = run.stacked * lay.DEPTH
        brush.arrow([(x, above), (x, y - depth)])
        for shift in (depth, depth / 2) if depth else ():
            brush.box(x + shift, y - shift, width, BOX, colours)
        brush.box(x, y, width, BOX, colours, "box")
        brush.text(x, y + BOX / 2, label, lay.BOX_SIZE)
        above = y + BOX
        y = above + lay.gap(run)
    if run.stacked:
        inner, outer = x - width / 2 - 0.07, x - width / 2 - 0.13
        brush.line([(inner, top), (outer, top), (outer, above), (inner, above)])
        count = f"{TIMES} {run.count}"
        brush.text(outer - 0.06, (top + above) / 2, count, lay.NOTE_SIZE, ha="right", weight="bold")
    return above


def _paint_shortcut(brush: _Brush, shortcut: Shortcut, x: float, half: float, span: Point) -> None:
    """Paint the arc from the fork around the boxes, which are twice half as wide, to the addition."""
    (fork, end), edge = span, x + half
    swing = edge + lay.BULGE / 0.75  # a cubic curve goes three quarters of the way to its control points
    points = [(x, fork), (edge, fork), (swing, fork), (swing, end), (edge, end), (x + SUM, end)]
    kind = "dashed" if shortcut.dashed else "solid"
    brush.arrow(points, curved=True, name=f"shortcut-{kind}", linestyle=DASHES[kind])
    brush.addition(x, end)
    left, middle = edge + lay.BULGE + 0.06, (fork + end) / 2
    brush.text(left, middle, shortcut.label, lay.TINY_SIZE, ha="left", color=SOFT)


def _paint_legend(brush: _Brush, page: Page) -> None:
    left, right, y = lay.MARGIN, lay.MARGIN + lay.SWATCH - 0.12, page.bottom + 0.35
    middle = (left + right) / 2
    brush.line([(left, y - 0.17), (page.width - lay.MARGIN, y - 0.17)], edgecolor=FAINT)
    for sample, text in page.legend:
        if sample in DASHES:
            brush.line([(left, y), (right, y)], linestyle=DASHES[sample])
        elif sample == "sum":
            brush.addition(middle, y)
        elif sample == "stack":
            for shift in (0.05, 0.025, 0):
                brush.box(middle + shift - 0.025, y - 0.025 - shift, 0.22, 0.08, NEUTRAL)
        elif sample == "pill":
            _paint_pill(brush, middle, y - lay.PILL / 2, "BN")
        brush.text(left + lay.SWATCH if sample else left, y, text, lay.NOTE_SIZE, ha="left", color=SOFT)
        y += lay.LEGEND
