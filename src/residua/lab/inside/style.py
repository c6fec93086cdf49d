"""What the lab's figures have in common: colours, markers and dashes, panels, axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from residua.errors import UserError
from residua.files import replacing
from residua.nets.drawing.saving import fixed, kind_of, rendered

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 160
PANEL = (5.0, 4.2)  # inches
FEW_DECADES = 300  # times the least, up to which a logarithmic axis has numbers between powers of ten
DENSE = 40  # places of a curve from which on its markers are small


class Look(NamedTuple):
    """What tells one network's curve from another's: colour, marker and dashes."""

    colour: str
    marker: str
    dashes: Any


SOLID: Any = "solid"
GREY = "#555555"
HOLLOW: dict[str, Any] = {"markerfacecolor": "white", "linestyle": (0, (4, 2))}
CROSSED: dict[str, Any] = {"marker": "x", "linestyle": (0, (4, 2)), "linewidth": 1.2}
LOOKS = (  # Okabe and Ito's colours, which the colour-blind can tell apart; yellow is too light for lines
    Look("#0072B2", "o", SOLID),
    Look("#D55E00", "s", (0, (5, 1.5))),
    Look("#009E73", "^", (0, (1.5, 1.2))),
    Look("#CC79A7", "D", (0, (6, 1.5, 1.5, 1.5))),
    Look("#E69F00", "v", (0, (3, 1, 1, 1, 1, 1))),
    Look("#56B4E9", "P", (0, (8, 2))),
    Look("#000000", "X", (0, (1, 2.5))),
)
STYLE: dict[str, Any] = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e6ea",
    "axes.axisbelow": True,
    "axes.titlesize": 12,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
}
styled = fixed(STYLE)  # whatever paints, paints in this style


def save_figure(figure: Figure, file: Path) -> None:
    """Write a figure as .svg or .png, the same bytes each time."""
    data = drawn(figure, kind_of(file))
    with replacing(file) as temporary:
        temporary.write_bytes(data)


@styled
def drawn(figure: Figure, kind: str) -> bytes:
    """Return a figure as "svg" or "png"."""
    return rendered(figure, kind, DOTS_PER_INCH)


def check_drawable(file: Path) -> None:
    """Fail where a figure cannot be drawn into a file of this name, or not without matplotlib."""
    kind_of(file)
    with fixed():
        pass


def panels(count: int) -> tuple[Figure, Sequence[Axes]]:
    """Begin a figure of so many panels beside each other."""
    from matplotlib.figure import Figure

    width, height = PANEL
    figure = Figure((width * count, height), facecolor="white", layout="constrained")
    return figure, figure.subplots(1, count, squeeze=False)[0]


def looks_of(found: Mapping[str, Any], looks: Mapping[str, Look] | None = None) -> list[Look]:
    """Return a look for each name, from those given or else in order."""
    if not found:
        raise UserError("there is nothing to draw: measure at least one network.")
    if looks:
        return [looks[name] for name in found]
    return [look_of(place) for place in range(len(found))]


def look_of(place: int) -> Look:
    """Return a look; in each round through the colours markers and dashes are others."""
    around, colour = divmod(place, len(LOOKS))
    marker, dashes = ((colour + step * around) % len(LOOKS) for step in (1, 2))
    return Look(LOOKS[colour].colour, LOOKS[marker].marker, LOOKS[dashes].dashes)


def curve(
    axes: Axes, x: Sequence[float], y: Sequence[float | None], look: Look, label: str, **other: Any
) -> None:
    """Draw a line with a marker at each place; None is a gap."""
    style = {"color": look.colour, "marker": look.marker, "linestyle": look.dashes, "label": label}
    axes.plot(x, gaps(y), **{"markersize": _size(y), **style, **other})


def _size(values: Sequence[Any]) -> float:
    """Return how large markers are."""
    return 5 if len(values) <= DENSE else 2.5


def gaps(values: Sequence[float | None]) -> list[float]:
    """Return the values with what is missing as NaN, which is not drawn."""
    return [float("nan") if value is None else value for value in values]


def finish(axes: Axes, x: str, y: str, title: str) -> None:
    """Write an axis's names and a panel's title."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title)
    if "tau" not in x:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def logarithmic(axes: Axes, along: Literal["x", "y"] = "y") -> None:
    """Scale an axis whose lines are drawn already, with numbers as people write them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    least = axes.dataLim.minposx if along == "x" else axes.dataLim.minposy
    if not math.isfinite(least):  # nothing is above 0
        return
    axes.set(**{f"{along}scale": "log"})
    axis = axes.xaxis if along == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    few = high < FEW_DECADES * low
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axis.set_minor_locator(NullLocator() if few else LogLocator(subs=range(2, 10)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(FuncFormatter(lambda *_: ""))


def with_legend(figure: Figure, axes: Axes) -> Figure:
    """Put one legend, made of what a panel names, below all panels."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
