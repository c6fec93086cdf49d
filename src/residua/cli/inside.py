"""Commands that measure what happens inside a network; each can draw its figure."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from residua.cli.completion import networks

if TYPE_CHECKING:
    from residua.lab.inside.lesions import RandomLesions
    from residua.lab.inside.subject import Subject


Model = Annotated[
    str, typer.Argument(help="A model file, or a network by name: untrained.", autocompletion=networks)
]
Data = Annotated[str, typer.Argument(help="Class folders, a CSV, a CIFAR archive, a packed file, or digits.")]
Part = Annotated[
    str | None, typer.Option(help="train, val, test or all; if not said, test, or else val, or else all.")
]
Split = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Which part each picture is in: a run's split.csv.")
]
Root = Annotated[Path | None, typer.Option(help="Folder of the pictures that a CSV names.")]
Limit = Annotated[int, typer.Option(help="Most pictures to measure by, evenly spread.")]
Draws = Annotated[int, typer.Option(help="How often each random choice is drawn.")]
Seed = Annotated[int, typer.Option(help="What chance depends on.")]
Batch = Annotated[int, typer.Option(help="Pictures at a time.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Workers = Annotated[int | None, typer.Option(help="Threads that read pictures.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Draw the figure into FILE.svg or FILE.png.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def lesion(
    model: Model,
    data: Data,
    part: Part = None,
    split: Split = None,
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
    from residua.lab.inside.style import save_figure

    measured = _subject(model, data, part, split, root, limit, seed, batch, device, workers)
    network = measured.network
    with progress("leaving out each unit") as show:
        each = lesions.each(network, measured.batches(show))
    with progress("leaving out several") as show:
        at_random = lesions.at_random(network, measured.batches(show), draws=draws, seed=seed)
    swapped: RandomLesions | None = None
    if lesions.swappable(network):
        with progress("swapping pairs") as show:
            swapped = lesions.swaps(network, measured.batches(show), draws=draws, seed=seed)
    if out:
        label = measured.label
        swaps = {label: swapped} if swapped else None
        save_figure(lesions_figure({label: each}, {label: at_random}, swaps), out)
    if json:
        told = {"lesions": each.as_json(), "at_random": at_random.as_json()}
        return _print(measured, told | {"swaps": swapped.as_json() if swapped else None})
    return inside_tables.show(measured, inside_tables.lesions(each, at_random, swapped), out)


def paths(
    model: Model,
    data: Data,
    part: Part = None,
    split: Split = None,
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
    from residua.lab.inside.style import save_figure

    measured = _subject(model, data, part, split, root, limit, seed, limit, device, workers)
    with progress("sampling paths") as show:
        found = measure(measured.network, *measured.whole(), draws=draws, seed=seed, progress=show)
    if out:
        save_figure(paths_figure({measured.label: found}), out)
    if json:
        return _print(measured, {"paths": found.as_json()})
    return inside_tables.show(measured, inside_tables.paths(found), out)


def responses(
    model: Model,
    data: Data,
    part: Part = None,
    split: Split = None,
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
    from residua.lab.inside.style import save_figure

    measured = _subject(model, data, part, split, root, limit, seed, batch, device, workers)
    with progress("measuring responses") as show:
        found = measure(measured.network, measured.batches(show))
    if out:
        save_figure(responses_figure({measured.label: found}), out)
    if json:
        return _print(measured, {"responses": found.as_json()})
    return inside_tables.show(measured, inside_tables.responses(found), out)


def gradients(
    model: Model,
    data: Data,
    part: Part = None,
    split: Split = None,
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
    from residua.lab.inside.style import save_figure

    measured = _subject(model, data, part, split, root, limit, seed, limit, device, workers)
    found = measure(measured.network, *measured.whole())
    if out:
        save_figure(gradients_figure({measured.label: found}), out)
    if json:
        return _print(measured, {"gradients": found.as_json()})
    return inside_tables.show(measured, inside_tables.gradients(found), out)


def _check_figure(out: Path | None) -> None:
    """Find out before the work that a figure cannot be drawn."""
    from residua.cli.data import check_files
    from residua.lab.inside.style import check_drawable

    check_files(out)
    if out:
        check_drawable(out)


def _subject(
    model: str,
    data: str,
    part: str | None,
    split: Path | None,
    root: Path | None,
    limit: int,
    seed: int,
    batch: int,
    device: str,
    workers: int | None,
) -> Subject:
    from residua.cli.progress import progress
    from residua.lab.inside.subject import subject

    options: dict[str, Any] = {"part": part, "split": split, "root": root, "limit": limit, "seed": seed}
    with progress("decoding") as show:
        measured = subject(model, data, batch=batch, device=device, workers=workers, progress=show, **options)
    if measured.fresh:
        typer.echo(
            f"residua: {model} is untrained: its weights are drawn from seed {seed}, and its running "
            "statistics are those of these pictures.",
            err=True,
        )
    return measured


def _print(measured: Subject, told: dict[str, Any]) -> None:
    from residua.text import finite

    typer.echo(json_format.dumps(finite(measured.as_json() | told), allow_nan=False))
