"""The command that judges a model, or two."""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residua.cli.options import Batch, ClassMap, Device, Json, MaxBad, Part, Root, Split, Workers
from residua.data.checking import MAX_BAD
from residua.errors import UserError
from residua.files import check_files
from residua.judging import BATCH, SHOWN

if TYPE_CHECKING:
    from residua.judging.evaluated import Evaluation
    from residua.judging.evaluation import Judging


def evaluate(
    files: Annotated[
        list[str],
        typer.Argument(metavar="MODEL [OTHER] DATA", help="A model file, or two to compare, and pictures."),
    ],
    part: Part = None,
    split: Split = None,
    class_map: ClassMap = None,
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
    device: Device = "auto",
    batch: Batch = BATCH,
    workers: Workers = None,
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
    from residua.judging.evaluation import judging
    from residua.weights.download import show_progress

    asked = judging(
        models,
        data,
        part=part,
        split=split,
        class_map=class_map,
        views=views,
        mistakes=mistakes,
        root=root,
        max_bad=max_bad,
        device=device,
        batch=batch,
        workers=workers,
        fetching=show_progress,
    )
    found = _judged(asked, store_temperature)
    try:
        if csv:
            found[0].write_csv(csv)
        if store_temperature:
            _store(models[0], found[0])
    finally:  # that it cannot be stored, or a full disk, does not undo what was found
        _show(found, json)
    raise typer.Exit(1 if found[0].bad else 0)


def _judged(asked: Judging, to_store: bool) -> tuple[Evaluation, ...]:
    from residua.cli.progress import progress

    if to_store:
        from residua.judging.storing import check_storable

        check_storable(asked.views, asked.samples.learned)
    with progress("decoding") as show:
        asked = asked.decoded(show)
    with progress("judging") as show:
        return asked.judged(show)


def _store(model: str, found: Evaluation) -> None:
    from residua.judging.storing import store_temperature

    best = store_temperature(model, found)
    typer.echo(f"residua: temperature {best:.4g} is stored in {model}.", err=True)


def _show(found: Sequence[Evaluation], json: bool) -> None:
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
