"""The figure of the gradient at each unit as training goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from residua.lab.inside.style import LOOKS, SOLID, Look, curve, logarithmic, styled, with_legend
from residua.lab.reporting.curves import ACROSS
from residua.lab.reporting.drawing import Drawing
from residua.lab.reporting.records import Record, Values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 5  # passes that are drawn
LIGHT = 0.75  # the grey of the first
Norms = Sequence[float | None]  # at each unit, and behind the last
Found = dict[str, dict[int, dict[int, Norms]]]  # by label, seed and pass


def gradients_throughout(record: Record) -> Drawing | None:
    """Draw the gradient at each unit before training and after some of the passes."""
    found = {label: _of(record, label) for label in record.labels if record.measured("gradients")}
    found = {label: each for label, each in found.items() if each}
    if not found:
        return None
    ends = [f"{label} {_middle(each, max(_passes(each)))[0]:.3g}" for label, each in found.items()]
    return Drawing(
        "gradients-throughout",
        "The gradient at each unit through training",
        "Norm of dE/dx at each unit, and behind the last, before training (pass 0) and after some of the "
        "passes, the darker the later: medians over the seeds.",
        "Gradient at the first unit after the last pass: " + "; ".join(ends) + ".",
        ("label", "seed", "pass", "unit", "norm"),
        [
            (label, seed, passed, unit, norm)
            for label, each in found.items()
            for seed, passes in each.items()
            for passed, norms in passes.items()
            for unit, norm in enumerate(norms, 1)
        ],
        lambda: _paint(found),
    )


def _of(record: Record, label: str) -> dict[int, dict[int, Norms]]:
    """Return what was noted of a network; what was kept of early trials are the first and the last alone."""
    before = record.details(label, "gradients")
    found: dict[int, dict[int, Norms]] = {}
    for seed, lines in record.through_training(label).items():
        passes = {line["epoch"]: line["norms"] for line in lines if len(line["norms"]) > 2}
        if passes:
            found[seed] = _initial(before.get(seed)) | passes
    return found


def _initial(detail: Values | None) -> dict[int, Norms]:
    """Return what was measured before the first pass."""
    if not detail:
        return {}
    before = detail["initial"]
    return {0: [*(unit["norm"] for unit in before["units"]), before["end"]]}


def _passes(each: Mapping[int, Mapping[int, Norms]]) -> list[int]:
    """Return the passes that are drawn: the first, the last, and some between."""
    every = sorted({passed for passes in each.values() for passed in passes})
    steps = min(MOST, len(every)) - 1
    return [every[round(place * (len(every) - 1) / max(1, steps))] for place in range(steps + 1)]


def _middle(each: Mapping[int, Mapping[int, Norms]], passed: int) -> list[float]:
    lines = [passes[passed] for passes in each.values() if passed in passes]
    columns = [[norm for norm in column if norm is not None] for column in zip(*lines, strict=True)]
    return [median(column) if column else float("nan") for column in columns]


@styled
def _paint(found: Found) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    rows = -(-len(found) // ACROSS)
    columns = -(-len(found) // rows)
    figure = Figure((2.9 * columns, 2.7 * rows + 0.4), facecolor="white", layout="constrained")
    places = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
    for axes, (label, each) in zip(places, found.items(), strict=False):
        passes = _passes(each)
        for place, passed in enumerate(passes):
            shade = LIGHT * (1 - place / max(1, len(passes) - 1))
            look = Look(f"{shade:.2f}", LOOKS[place].marker, SOLID)
            norms = _middle(each, passed)
            curve(axes, range(1, len(norms) + 1), norms, look, f"pass {passed}")
        axes.set(title=label, xlabel="unit, in order")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for axes in places[: len(found)]:
        logarithmic(axes)
    for axes in places[::columns]:
        axes.set_ylabel("norm of dE/dx")
    for axes in places[len(found) :]:
        axes.remove()
    return with_legend(figure, places[0])
