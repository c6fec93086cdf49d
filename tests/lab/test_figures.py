"""Figures show what was measured, label it, and tell networks apart without colour."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.inside import BATCHES, LABELS, PIXELS, PLAIN, tiny, tiny_vgg
from residua import UserError
from residua.lab.inside import figures, lesions, style
from residua.lab.inside.gradients import gradients
from residua.lab.inside.paths import paths
from residua.lab.inside.responses import responses

NETWORKS: dict[str, Any] = {
    "residual": tiny(),
    "pre": tiny(order="full_preactivation"),
    "plain_$x": tiny(PLAIN),
    "vgg": tiny_vgg(),
}
RESPONSES = {name: responses(network, BATCHES) for name, network in NETWORKS.items()}
GRADIENTS = {name: gradients(network, PIXELS, LABELS) for name, network in NETWORKS.items()}
LESIONS = {name: lesions.each(network, BATCHES) for name, network in NETWORKS.items()}
RANDOM = {name: lesions.at_random(network, BATCHES, draws=2) for name, network in NETWORKS.items()}
SWAPS = {name: lesions.swaps(network, BATCHES, counts=(1,), draws=2) for name, network in NETWORKS.items()}
PATHS = {name: paths(NETWORKS[name], PIXELS, LABELS, draws=2) for name in ("residual", "pre")}


@functools.cache
def drawn() -> dict[str, Figure]:
    return {
        "responses": figures.responses_figure(RESPONSES),
        "gradients": figures.gradients_figure(GRADIENTS),
        "lesions": figures.lesions_figure(LESIONS, RANDOM, SWAPS),
        "paths": figures.paths_figure(PATHS),
    }


def test_every_panel_is_labelled_and_named_below() -> None:
    for name, figure in drawn().items():
        assert all(axes.get_xlabel() and axes.get_ylabel() and axes.get_title() for axes in figure.axes)
        (legend,) = figure.legends
        words = " ".join(text.get_text() for text in legend.get_texts())
        assert all(network in words for network in (PATHS if name == "paths" else NETWORKS))


def first_curve(axes: Axes) -> list[float]:
    return [float(value) for value in np.asarray(axes.lines[0].get_ydata())]


def test_curves_hold_what_was_measured() -> None:
    figure = drawn()
    by_layer, by_size = (first_curve(axes) for axes in figure["responses"].axes)
    measured = [layer.deviation for layer in RESPONSES["residual"].layers]
    assert by_layer == measured and by_size == sorted(measured, reverse=True)
    each, random, _ = figure["lesions"].axes
    assert first_curve(each) == [unit.error for unit in LESIONS["residual"].units]
    expected = [RANDOM["residual"].error, *(row.median for row in RANDOM["residual"].rows)]
    assert first_curve(random) == expected
    norm = first_curve(figure["gradients"].axes[0])
    assert norm == [unit.norm for unit in GRADIENTS["residual"].units]
    count, magnitude, share = (first_curve(axes) for axes in figure["paths"].axes)
    assert count == pytest.approx([12.5, 37.5, 37.5, 12.5])
    assert magnitude == [each.magnitude for each in PATHS["residual"].lengths]
    assert sum(share) == pytest.approx(100)


def test_networks_differ_in_colour_marker_and_dashes() -> None:
    lines = drawn()["responses"].axes[1].lines
    assert len({str(line.get_color()) for line in lines}) == len(NETWORKS)
    assert len({str(line.get_marker()) for line in lines}) == len(NETWORKS)
    assert len({str(vars(line)["_unscaled_dash_pattern"]) for line in lines}) == len(NETWORKS)
    assert len({style.look_of(place) for place in range(49)}) == 49  # many networks have a look each
    grey = [0.299 * red + 0.587 * green + 0.114 * blue for red, green, blue in map(rgb, style.LOOKS)]
    assert max(grey) < 0.75  # each is dark enough to be seen on white


def rgb(look: style.Look) -> tuple[float, ...]:
    return tuple(int(look.colour[at : at + 2], 16) / 255 for at in (1, 3, 5))


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_saved_figure_is_the_same_each_time(tmp_path: Path, kind: str) -> None:
    first, second = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    for file in (first, second):
        style.save_figure(figures.lesions_figure({"plain_$x": LESIONS["plain_$x"]}), file)
    assert first.read_bytes() == second.read_bytes()
    start = first.read_bytes()[:100]
    assert start.startswith(b"\x89PNG") if kind == "png" else b"<?xml" in start
    assert sorted(each.name for each in tmp_path.iterdir()) == [f"a.{kind}", f"b.{kind}"]


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must end in \.svg or \.png"):
        style.save_figure(figures.lesions_figure(LESIONS), tmp_path / "a.jpeg")
    with pytest.raises(UserError, match="nothing to draw"):
        figures.responses_figure({})
