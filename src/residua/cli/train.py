"""The command that trains."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated, Any

import typer

from residua.cli.completion import networks, one_of
from residua.cli.options import DATA
from residua.errors import UserError


def train(
    data: Annotated[
        str | None,
        typer.Argument(help=DATA),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The network (residua models).", autocompletion=networks)
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="paper, fast, finetune or modern.",
            autocompletion=one_of("paper", "fast", "finetune", "modern"),
        ),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the pictures in pixels.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the pictures.")] = None,
    time: Annotated[str | None, typer.Option(help="End in 20m, 1.5h or 90s instead.")] = None,
    batch: Annotated[str | None, typer.Option(help="Pictures an update, or auto: by measurement.")] = None,
    weights: Annotated[str | None, typer.Option(help="Start from imagenet, a file, or none.")] = None,
    seed: Annotated[int | None, typer.Option(help="What chance depends on.")] = None,
    val: Annotated[float | None, typer.Option(help="Share of each class to judge by.")] = None,
    limit: Annotated[int | None, typer.Option(help="Train on so many pictures only.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run, if not runs/train/NAME.")] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file of settings.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Any setting; can be repeated.")
    ] = None,
    root: Annotated[str | None, typer.Option(help="Folder of the pictures that a CSV names.")] = None,
    max_bad: Annotated[float | None, typer.Option(help="Most unreadable pictures, as a share.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32 or bf16.")] = None,
    workers: Annotated[int | None, typer.Option(help="Threads that read pictures.")] = None,
    checkpointing: Annotated[bool, typer.Option("--checkpointing", help="Less memory, more time.")] = False,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same each time: measure nothing.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the curves for TensorBoard too.")
    ] = False,
    on_nan: Annotated[str | None, typer.Option(help="At a loss that is no number: stop or skip.")] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run in folder DATA, or the newest."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say all choices, train nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON at the end.")] = False,
) -> None:
    """Train a classifier. What you do not set is chosen from the pictures and the machine, and said.

    `residua train --resume [RUN]` goes on with one that was interrupted.
    """
    given: dict[str, Any] = {
        "model": model,
        "recipe": recipe,
        "size": size,
        "epochs": epochs,
        "time": time,
        "batch": batch,
        "weights": weights,
        "seed": seed,
        "val": val,
        "limit": limit,
        "root": root,
        "max_bad": max_bad,
        "device": device,
        "precision": precision,
        "workers": workers,
        "checkpointing": checkpointing or None,
        "deterministic": deterministic or None,
        "tensorboard": tensorboard or None,
    }
    settings = _pairs(set_ or []) | {name: value for name, value in given.items() if value is not None}
    if resume:
        return _resume(data, settings, on_nan, json, bool(out or config or dry_run))
    if on_nan is not None:
        settings["on_nan"] = on_nan
    command = _dry if dry_run else _train
    named = settings.pop("data", None)
    return command(named if data is None else data, out, config, settings, json)


def _train(
    data: str | None, out: Path | None, config: Path | None, settings: dict[str, Any], json: bool
) -> None:
    from residua.cli.training_progress import watching
    from residua.training.running import train as run

    with watching() as watch:
        finished = run(data, out=out, config=config, watch=watch, **settings)
    _said(finished.folder, finished.summary, json)


def _resume(data: str | None, settings: dict[str, Any], on_nan: str | None, json: bool, more: bool) -> None:
    from residua.cli.training_progress import watching
    from residua.training.running import resume as run

    device = settings.pop("device", None)
    if settings or more:
        raise UserError(
            "a run goes on as it began: beside --resume only --device, --on-nan and --json can be given."
        )
    with watching() as watch:
        finished = run(data, device=device, on_nan=on_nan, watch=watch)
    _said(finished.folder, finished.summary, json)


def _dry(
    data: str | None, out: Path | None, config: Path | None, settings: dict[str, Any], json: bool
) -> None:
    from residua.training.running import chosen
    from residua.training.telling.watching import in_lines

    choices = chosen(data, out=out, config=config, **settings)
    measured = [sentence for name, sentence in choices if name == "measured"]  # others are there once
    plain = dict(choices) | {"measured": measured}
    typer.echo(json_format.dumps(plain, indent=2) if json else in_lines(choices))


def _said(folder: Path, summary: dict[str, Any], json: bool) -> None:
    if json:
        typer.echo(json_format.dumps({"folder": str(folder), **summary}, indent=2))


def _pairs(words: list[str]) -> dict[str, Any]:
    """Read `field=value`; a value may be a list or a number as YAML writes it."""
    pairs: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name in pairs:
            raise UserError(f"--set {word} is not valid: write each field once, as field=value.")
        if name in ("out", "config", "watch"):  # of residua.train, but no settings
            raise UserError(f"--set {word} is not valid: {name} is no setting.")
        pairs[name] = value
    return pairs
