"""The command that judges a model, or two."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from residua.errors import UserError

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
    mistakes: Annotated[int, typer.Option(help="How many of the worst mistakes to list.")] = 20,
    root: Annotated[Path | None, typer.Option(help="Folder of the pictures that a CSV names.")] = None,
    max_bad: Annotated[float, typer.Option(help="Most unreadable pictures, as a share.")] = 0.1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    batch: Annotated[int, typer.Option(help="Pictures at a time.")] = 64,
    workers: Annotated[int | None, typer.Option(help="Threads that read pictures.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge a model by labelled pictures, every one counted once; or compare two.

    Exit code 0: done. 1: done, without pictures that cannot be read. 2: it cannot be done.
    """
    models, data = _sorted(files, csv, store_temperature)
    options: dict[str, Any] = {"class_map": class_map, "views": views, "mistakes": mistakes}
    options |= {"device": device, "batch": batch, "workers": workers}
    chosen = {"part": part, "split": split, "root": root, "max_bad": max_bad}
    samples = _samples(data, [Path(model).parent for model in models], chosen)
    if store_temperature:
        from residua.judging.figures.temperature import check_storable

        check_storable(samples.part, views)
    found = [_judged(model, samples, options) for model in models]
    if csv:
        found[0].write_csv(csv)
    try:
        if store_temperature:
            _store(Path(models[0]), found[0])
    finally:  # that it cannot be stored does not undo what was found
        _show(found, json)
    raise typer.Exit(1 if samples.bad else 0)


def _sorted(files: list[str], csv: Path | None, store: bool) -> tuple[list[str], str]:
    """Part the models from the data, and find out before the work that there is no place for its result."""
    from residua.cli.data import check_files

    *models, data = files
    if len(models) not in (1, 2):
        raise UserError("evaluate takes a model, or two, and then data: residua evaluate MODEL DATA.")
    if len(models) == 2 and (csv or store):
        raise UserError("--csv and --store-temperature are of one model: evaluate it alone.")
    check_files(csv)
    return models, data


def _samples(data: str, beside: list[Path], chosen: dict[str, Any]) -> Samples:
    from residua.cli.progress import progress
    from residua.data.sources.recognition import open_data
    from residua.judging.showing.samples import choose_samples
    from residua.weights.download import show_progress

    opened = open_data(data, root=chosen["root"], progress=show_progress)
    with progress("decoding") as show:
        return choose_samples(opened, beside=beside, progress=show, **chosen)


def _judged(model: str, samples: Samples, options: dict[str, Any]) -> Evaluation:
    from residua.cli.progress import progress
    from residua.judging.evaluation import evaluate as run

    with progress("judging") as show:
        return run(model, samples, progress=show, **options)


def _store(model: Path, found: Evaluation) -> None:
    from residua.judging.figures.temperature import store_temperature

    best = found.calibration.best_temperature
    if best is None:
        raise UserError("no temperature is stored: none suits these pictures better than all others.")
    store_temperature(model, best)
    typer.echo(f"residua: temperature {best:.4g} is stored in {model}.", err=True)


def _show(found: list[Evaluation], json: bool) -> None:
    if len(found) == 1:
        if json:
            return typer.echo(json_format.dumps(found[0].as_json()))
        from residua.cli import evaluation_tables, tables

        return tables.show(evaluation_tables.evaluated(found[0]))
    from residua.judging.comparison import compare

    comparison = compare(*found)
    if json:
        models = [each.as_json() for each in found]
        said = {"models": models, "comparison": comparison.as_json()}
        return typer.echo(json_format.dumps(said))
    from residua.cli import evaluation_tables, tables

    return tables.show(evaluation_tables.compared(found, comparison))
