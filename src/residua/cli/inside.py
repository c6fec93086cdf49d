"""Commands that measure what happens inside a network; each can draw its figure."""

from __future__ import annotations

import json as json_format
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from residua.cli.completion import networks
from residua.cli.options import DATA, Batch, ClassMap, Device, Json, Part, Root, Split, Workers
from residua.files import check_files

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

    from residua.lab.inside.lesions import RandomLesions
    from residua.lab.inside.subject import Subject


Model = Annotated[
    str, typer.Argument(help="A model file, or a network by name: untrained.", autocompletion=networks)
]
Data = Annotated[str, typer.Argument(help=DATA)]
Limit = Annotated[int, typer.Option(help="Most pictures to measure by, evenly spread.")]
Draws = Annotated[int, typer.Option(help="How often each random choice is drawn.")]
Seed = Annotated[int, typer.Option(help="What chance depends on.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Draw the figure into FILE.svg or FILE.png.")]


def lesion(
    model: Model,
    data: Data,
    part: Part = None,
    split: Split = None,
    class_map: ClassMap = None,
    root: Root = None,
    limit: Limit = 1000,
    draws: Draws = 10,
    seed: Seed = 0,
    batch: Batch = 64,
    device: Device = "auto",
    workers: Workers = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Leave out units, one by one and at random, and swap them: what becomes of the error."""
    _check_figure(out)
    from residua.cli import inside_tables
    from residua.cli.progress import progress
    from residua.lab.inside import lesions
    from residua.lab.inside.figures import lesions_figure

    measured = _subject(model, data, part, split, class_map, root, limit, seed, batch, device, workers)
    network = measured.network
    with progress("leaving out each unit") as show:
        each = lesions.each(network, measured.batches(show))
    with progress("leaving out several") as show:
        at_random = lesions.at_random(network, measured.batches(show), draws=draws, seed=seed)
    swapped: RandomLesions | None = None
    if lesions.swappable(network):
        with progress("swapping pairs") as show:
            swapped = lesions.swaps(network, measured.batches(show), draws=draws, seed=seed)
    label, pairs = measured.label, swapped.as_json() if swapped else None
    told = {"lesions": each.as_json(), "at_random": at_random.as_json(), "swaps": pairs}
    swaps = {label: swapped} if swapped else None
    figure = partial(lesions_figure, {label: each}, {label: at_random}, swaps)
    _tell(measured, told, partial(inside_tables.lesions, each, at_random, swapped), figure, out, json)


def paths(
    model: Model,
    data: Data,
    part: Part = None,
    split: Split = None,
    class_map: ClassMap = None,
    root: Root = None,
    limit: Limit = 32,
    draws: Draws = 4,
    seed: Seed = 0,
    device: Device = "auto",
    workers: Workers = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Measure how much gradient the paths of each length carry. All pictures are one batch."""
    _check_figure(out)
    from residua.cli import inside_tables
    from residua.cli.progress import progress
    from residua.lab.inside.figures import paths_figure
    from residua.lab.inside.paths import paths as measure

    measured = _subject(model, data, part, split, class_map, root, limit, seed, limit, device, workers)
    with progress("sampling paths") as show:
        found = measure(measured.network, *measured.whole(), draws=draws, seed=seed, progress=show)
    figure = partial(paths_figure, {measured.label: found})
    table = partial(inside_tables.paths, found)
    _tell(measured, {"paths": found.as_json()}, table, figure, out, json)


def responses(
    model: Model,
    data: Data,
    part: Part = None,
    split: Split = None,
    class_map: ClassMap = None,
    root: Root = None,
    limit: Limit = 1000,
    seed: Seed = 0,
    batch: Batch = 64,
    device: Device = "auto",
    workers: Workers = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Measure how strongly each layer responds."""
    _check_figure(out)
    from residua.cli import inside_tables
    from residua.cli.progress import progress
    from residua.lab.inside.figures import responses_figure
    from residua.lab.inside.responses import responses as measure

    measured = _subject(model, data, part, split, class_map, root, limit, seed, batch, device, workers)
    with progress("measuring responses") as show:
        found = measure(measured.network, measured.batches(show))
    figure = partial(responses_figure, {measured.label: found})
    table = partial(inside_tables.responses, found)
    _tell(measured, {"responses": found.as_json()}, table, figure, out, json)


def gradients(
    model: Model,
    data: Data,
    part: Part = None,
    split: Split = None,
    class_map: ClassMap = None,
    root: Root = None,
    limit: Limit = 32,
    seed: Seed = 0,
    device: Device = "auto",
    workers: Workers = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Measure the gradient at each unit, and what of it comes directly. All pictures are one batch."""
    _check_figure(out)
    from residua.cli import inside_tables
    from residua.lab.inside.figures import gradients_figure
    from residua.lab.inside.gradients import gradients as measure

    measured = _subject(model, data, part, split, class_map, root, limit, seed, limit, device, workers)
    found = measure(measured.network, *measured.whole())
    figure = partial(gradients_figure, {measured.label: found})
    table = partial(inside_tables.gradients, found)
    _tell(measured, {"gradients": found.as_json()}, table, figure, out, json)


def _check_figure(out: Path | None) -> None:
    """Find out before the work that a figure cannot be drawn."""
    from residua.lab.inside.style import check_drawable

    check_files(out)
    if out:
        check_drawable(out)


def _subject(
    model: str,
    data: str,
    part: str | None,
    split: Path | None,
    class_map: Path | None,
    root: Path | None,
    limit: int,
    seed: int,
    batch: int,
    device: str,
    workers: int | None,
) -> Subject:
    from residua.cli.progress import progress
    from residua.lab.inside.subject import subject

    which: dict[str, Any] = {"part": part, "split": split, "class_map": class_map, "root": root}
    how: dict[str, Any] = {"batch": batch, "device": device, "workers": workers}
    with progress("decoding") as show:
        measured = subject(model, data, limit=limit, seed=seed, progress=show, **which, **how)
    if measured.fresh:
        typer.echo(
            f"residua: {model} is untrained: its weights are drawn from seed {seed}, and its "
            "running statistics are those of these pictures.",
            err=True,
        )
    return measured


def _tell(
    measured: Subject,
    told: dict[str, Any],
    table: Callable[[], RenderableType],
    figure: Callable[[], Figure],
    out: Path | None,
    json: bool,
) -> None:
    """Draw what was measured, and print it."""
    try:
        if out:
            from residua.lab.inside.style import save_figure

            save_figure(figure(), out)
    finally:  # a full disk does not undo what was measured
        _print(measured, told, table, json)
    if out and not json:
        typer.echo(f"figure: {out}")


def _print(measured: Subject, told: dict[str, Any], table: Callable[[], RenderableType], json: bool) -> None:
    if json:
        from residua.text import finite

        return typer.echo(json_format.dumps(finite(measured.as_json() | told), allow_nan=False))
    from residua.cli import inside_tables

    return inside_tables.show(measured, table())
