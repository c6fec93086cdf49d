"""The command that judges a model, or two."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residua.cli.data import Json, MaxBad, Root, check_files
from residua.data.checking import MAX_BAD
from residua.errors import UserError
from residua.judging import BATCH, SHOWN

if TYPE_CHECKING:
    from residua.judging.evaluation import Evaluation
    from residua.judging.showing.samples import Samples


def evaluate(
    files: Annotated[
        list[str],
        typer.Argument(metavar="MODEL [OTHER] DATA", help="A model file, or two to compare, and pictures."),
    ],
    part: Annotated[
        str | None, typer.Option(help="train, val, test or all; if not said, test, or else val, or else all.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Which part each picture is in: a run's split.csv.")
    ] = None,
    class_map: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CSV (folder,class): what the model calls a class.")
    ] = None,
    views: Annotated[
        str, typer.Option(help="one, flip, ten-crop or multi-scale: how each picture is shown.")
    ] = "one",
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what was said of every picture.")
    ] = None,
    store_temperature: Annotated[
        bool, typer.Option("--store-temperature", help="Write the temperature that fits best into MODEL.")
    ] = False,
    mistakes: Annotated[int, typer.Option(help="How many of the worst mistakes to list.")] = SHOWN,
    root: Root = None,
    max_bad: MaxBad = MAX_BAD,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    batch: Annotated[int, typer.Option(help="Pictures at a time.")] = BATCH,
    workers: Annotated[int | None, typer.Option(help="Threads that read pictures.")] = None,
    json: Json = False,
) -> None:
    """Judge a model by labelled pictures, every one counted once; or compare two.

    Exit code 0: done. 1: done, without pictures that cannot be read. 2: it cannot be done.
    """
    *models, data = files
    if len(models) not in (1, 2):
        raise UserError("evaluate takes a model, or two, and then data: residua evaluate MODEL DATA.")
    if len(models) == 2 and (csv or store_temperature):
        raise UserError("--csv and --store-temperature are of one model: evaluate it alone.")
    check_files(csv, inputs=[*models, data, split, class_map])
    samples = _samples(models, data, part, split, root, max_bad)
    if store_temperature:
        from residua.judging.storing import check_storable

        check_storable(views, samples.learned)
    found = [_judged(model, samples, class_map, views, mistakes, device, batch, workers) for model in models]
    if csv:
        found[0].write_csv(csv)
    try:
        if store_temperature:
            _store(models[0], found[0])
    finally:  # that it cannot be stored does not undo what was found
        _show(found, json)
    raise typer.Exit(1 if samples.bad else 0)


def _samples(
    models: list[str], data: str, part: str | None, split: Path | None, root: Path | None, max_bad: float
) -> Samples:
    from residua.cli.progress import progress
    from residua.data.sources.recognition import open_data
    from residua.judging.showing.samples import choose_samples
    from residua.weights.download import show_progress
    from residua.weights.modelfile import inspect

    for model in models:
        inspect(model)  # what is wrong with it is said before the pictures are decoded
    beside = [Path(model).parent for model in models]
    opened = open_data(data, root=root, progress=show_progress)
    with progress("decoding") as show:
        return choose_samples(opened, part=part, split=split, beside=beside, max_bad=max_bad, progress=show)


def _judged(
    model: str,
    samples: Samples,
    class_map: Path | None,
    views: str,
    mistakes: int,
    device: str,
    batch: int,
    workers: int | None,
) -> Evaluation:
    from residua.cli.progress import progress
    from residua.judging.evaluation import evaluate as run

    with progress("judging") as show:
        return run(
            model,
            samples,
            class_map=class_map,
            views=views,
            mistakes=mistakes,
            device=device,
            batch=batch,
            workers=workers,
            progress=show,
        )


def _store(model: str, found: Evaluation) -> None:
    from residua.judging.storing import store_temperature

    best = store_temperature(model, found)
    typer.echo(f"residua: temperature {best:.4g} is stored in {model}.", err=True)


def _show(found: list[Evaluation], json: bool) -> None:
    if len(found) == 1:
        if json:
            return typer.echo(json_format.dumps(found[0].as_json(), indent=2))
        from residua.cli import evaluation_tables, tables

        return tables.show(evaluation_tables.evaluated(found[0]))
    from residua.judging.comparison import compare

    comparison = compare(*found)
    if json:
        models = [each.as_json() for each in found]
        said = {"models": models, "comparison": comparison.as_json()}
        return typer.echo(json_format.dumps(said, indent=2))
    from residua.cli import evaluation_tables, tables

    return tables.show(evaluation_tables.compared(found, comparison))
