"""Figures of what was measured inside networks, like the papers' own; readable in grey print too.

Each takes results by name; `looks` says how each name is drawn, where several figures are to agree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from residua.lab.inside.gradients import predicted_norms
from residua.lab.inside.style import (
    CROSSED,
    GREY,
    HOLLOW,
    SOLID,
    Look,
    curve,
    finish,
    gaps,
    logarithmic,
    looks_of,
    panels,
    styled,
    with_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from residua.lab.inside.gradients import Gradients
    from residua.lab.inside.lesions import Lesion, Lesions, RandomLesions
    from residua.lab.inside.paths import Paths
    from residua.lab.inside.responses import Responses

NAMED = 24  # units that have their names below an axis
Looks = Mapping[str, Look] | None


@styled
def responses_figure(found: Mapping[str, Responses], looks: Looks = None) -> Figure:
    """Draw layer responses by layer and by size, as the residual networks paper's Figure 7."""
    figure, (by_layer, by_size) = panels(2)
    for look, (name, responses) in zip(looks_of(found, looks), found.items(), strict=True):
        deviations = [layer.deviation for layer in responses.layers]
        places = range(1, len(deviations) + 1)
        hollow = [place for place, layer in enumerate(responses.layers) if layer.measured == "convolution"]
        for axes, values in ((by_layer, deviations), (by_size, sorted(deviations, reverse=True))):
            curve(axes, places, values, look, name)
        marks: dict[str, Any] = {
            "marker": look.marker,
            "facecolor": "white",
            "edgecolor": look.colour,
            "zorder": 3,
        }
        by_layer.scatter([place + 1 for place in hollow], [deviations[place] for place in hollow], **marks)
    finish(by_layer, "layer, in order", "standard deviation of the response", "Layer responses")
    for axes in (by_layer, by_size):
        axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
    finish(by_size, "layer, sorted by response", "standard deviation of the response", "Sorted by size")
    if any(layer.measured == "convolution" for each in found.values() for layer in each.layers):
        by_layer.plot([], [], "o", color=GREY, markerfacecolor="white", label="no norm follows directly")
    return with_legend(figure, by_layer)


@styled
def gradients_figure(found: Mapping[str, Gradients], looks: Looks = None) -> Figure:
    """Draw gradient norms beside what the lambdas predict, the two terms, and how often they vanish."""
    figure, (whole, terms, vanishing) = panels(3)
    for look, (name, gradients) in zip(looks_of(found, looks), found.items(), strict=True):
        places = range(1, len(gradients.units) + 1)
        norms = [unit.norm for unit in gradients.units]
        plain = look._replace(dashes=SOLID)
        curve(whole, places, norms, plain, name)
        curve(whole, places, predicted_norms(gradients), look, "", zorder=1, **CROSSED)
        split = [unit.terms for unit in gradients.units]
        curve(terms, places, [each.direct if each else None for each in split], plain, name)
        through = [each.through if each else None for each in split]
        curve(terms, places, through, look, "", **HOLLOW)
        curve(vanishing, places, [100 * unit.near_zero for unit in gradients.units], look, name)
    near = next(iter(found.values())).near
    whole.plot([], [], color=GREY, label="predicted from lambdas", **CROSSED)
    whole.plot([], [], color=GREY, marker="o", label="direct")
    whole.plot([], [], color=GREY, marker="o", label="through the weights", **HOLLOW)
    for axes in (whole, terms):
        logarithmic(axes)
    finish(whole, "unit, in order", "norm of dE/dx", "Gradient at each unit")
    finish(terms, "unit, in order", "norm", "Directly, and through the weights")
    finish(vanishing, "unit, in order", "samples, %", f"Gradient nearly gone (below {near:g})")
    vanishing.set_ylim(-3, 103)
    return with_legend(figure, whole)


@styled
def lesions_figure(
    each: Mapping[str, Lesions],
    at_random: Mapping[str, RandomLesions] | None = None,
    swaps: Mapping[str, RandomLesions] | None = None,
    looks: Looks = None,
) -> Figure:
    """Draw the error with units left out one by one, at random, and swapped, as the unravelled view does."""
    figure, beside = panels(1 + bool(at_random) + bool(swaps))
    left = iter(beside)
    _paint_each(next(left), each, looks)
    if at_random:
        _paint_at_random(next(left), at_random, looks)
    if swaps:
        _paint_swaps(next(left), swaps, looks)
    for axes in beside:
        axes.set_ylim(-3, 103)
    return with_legend(figure, beside[0])


def _paint_each(axes: Axes, found: Mapping[str, Lesions], looks: Looks) -> None:
    for look, (name, lesions) in zip(looks_of(found, looks), found.items(), strict=True):
        errors = [unit.error for unit in lesions.units]
        curve(axes, range(1, len(errors) + 1), errors, look, name)
        axes.axhline(lesions.error, color=look.colour, linewidth=1, dashes=(2, 2), zorder=1)
    axes.plot([], [], color=GREY, linewidth=1, dashes=(2, 2), label="nothing left out")
    finish(axes, "unit left out", "error, %", "Each unit left out")
    first = next(iter(found.values()))
    if len(found) == 1 and len(first.units) <= NAMED:
        names = [unit.name.removeprefix("layer").removeprefix("features.") for unit in first.units]
        axes.set_xticks(range(1, len(names) + 1), names, rotation=90, fontsize=9)


def _paint_at_random(axes: Axes, found: Mapping[str, RandomLesions], looks: Looks) -> None:
    for look, (name, lesions) in zip(looks_of(found, looks), found.items(), strict=True):
        counts = [0, *(row.count for row in lesions.rows)]
        medians = [lesions.error, *(row.median for row in lesions.rows)]
        lows = [lesions.error, *(row.quartiles[0] for row in lesions.rows)]
        highs = [lesions.error, *(row.quartiles[2] for row in lesions.rows)]
        curve(axes, counts, medians, look, name)
        axes.fill_between(counts, lows, highs, color=look.colour, alpha=0.18, linewidth=0)
    finish(axes, "units left out at random", "error, %", "Several left out (median, quartiles)")


def _paint_swaps(axes: Axes, found: Mapping[str, RandomLesions], looks: Looks) -> None:
    for look, (name, swapped) in zip(looks_of(found, looks), found.items(), strict=True):
        drawn = [lesion for row in swapped.rows for lesion in row.trials]
        taus, errors = gaps([lesion.tau for lesion in drawn]), [lesion.error for lesion in drawn]
        axes.scatter(taus, errors, marker=look.marker, color=look.colour, alpha=0.3, s=16, linewidth=0)
        medians = [(1.0, swapped.error), *_medians_by_tau(drawn)]
        curve(axes, [tau for tau, _ in medians], [error for _, error in medians], look, name)
    axes.invert_xaxis()
    finish(
        axes,
        "Kendall's tau of the order (1: as it was)",
        "error, %",
        "Pairs swapped (dots: each draw, line: medians)",
    )


def _medians_by_tau(drawn: Sequence[Lesion]) -> list[tuple[float, float]]:
    """Return mean tau and median error of draws whose tau lies in the same tenth, greatest first."""
    tenths: dict[int, list[Lesion]] = {}
    for lesion in drawn:
        tenths.setdefault(math.ceil(10 * (lesion.tau or 0.0)), []).append(lesion)
    return [
        (mean(each.tau or 0.0 for each in tenths[tenth]), median(each.error for each in tenths[tenth]))
        for tenth in sorted(tenths, reverse=True)
    ]


@styled
def paths_figure(found: Mapping[str, Paths], looks: Looks = None) -> Figure:
    """Draw how many paths have each length and what they carry, as the unravelled view's Figure 6."""
    figure, (number, magnitude, total) = panels(3)
    for look, (name, paths) in zip(looks_of(found, looks), found.items(), strict=True):
        lengths = [each.length for each in paths.lengths]
        share = [100 * (each.paths / 2**paths.units) for each in paths.lengths]
        curve(number, lengths, share, look, name)
        curve(magnitude, lengths, [each.magnitude or None for each in paths.lengths], look, name)
        low, high = paths.effective
        words = (
            f"{name}: {paths.share:.0%} in {low} to {high},\n{100 * paths.effective_share:.3g}% of all paths"
        )
        carried = [100 * each.share for each in paths.lengths]
        curve(total, lengths, carried, look, words)
        thick: dict[str, Any] = {"linewidth": 8, "alpha": 0.25, "solid_capstyle": "round", "zorder": 1}
        total.plot(lengths[low : high + 1], carried[low : high + 1], color=look.colour, **thick)
    logarithmic(magnitude)
    finish(number, "path length, residuals", "paths, %", "How many paths there are")
    finish(magnitude, "path length, residuals", "norm at the input", "Gradient along one path")
    finish(
        total, "path length, residuals", "share of the gradient, %", "Gradient along all paths of a length"
    )
    return with_legend(figure, total)
