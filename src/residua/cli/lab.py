"""The commands of the lab: experiments listed, run, shown and begun."""

from __future__ import annotations

import json as json_format
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from residua.cli import lab_report
from residua.cli.completion import experiments, one_of
from residua.cli.options import Device, Json
from residua.lab import LAB
from residua.text import visible

app = typer.Typer(help="Run the papers' experiments, and your own.", no_args_is_help=True)

Which = Annotated[
    str,
    typer.Argument(
        help="An experiment (residua lab list), or a YAML file of your own.", autocompletion=experiments
    ),
]
ScaleOption = Annotated[
    str, typer.Option(help="quick, small or paper.", autocompletion=one_of("quick", "small", "paper"))
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the trials and results.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List the experiments that come with Residua, with how many trainings each is at every scale."""
    from residua.cli.lab_tables import experiments_table
    from residua.cli.tables import show
    from residua.lab.catalogue import experiments

    found = experiments()
    if json:
        return typer.echo(json_format.dumps([each.as_json() for each in found], indent=2))
    return show(experiments_table(found))


@app.command()
def run(
    which: Annotated[
        str,
        typer.Argument(
            help="An experiment (residua lab list), a YAML file, or all.", autocompletion=experiments
        ),
    ],
    scale: ScaleOption = "quick",
    data: Annotated[str | None, typer.Option(help="Pictures to train on, if not the scale's own.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Trainings of each network, if not the scale's.")] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Trainings at once, if not one a processor (8 at most, 4 on a GPU).")
    ] = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="fp32, or bf16 where that is faster.")] = "fp32",
    compiled: Annotated[bool, typer.Option("--compiled", help="Compile each network: for a GPU.")] = False,
    out: Out = LAB,
    kept: Annotated[
        Path | None,
        typer.Option(help="Keep the small results of each training here, and run none that is kept here."),
    ] = None,
    json: Json = False,
) -> None:
    """Train and measure what is missing of an experiment, and put it beside what the papers say.

    Stop it whenever you like: the same command goes on where it was. Experiments share their trainings.
    """
    from residua.cli.lab_progress import watching
    from residua.lab.catalogue import NAMES
    from residua.lab.running import run_experiments
    from residua.training.telling.stopping import StoppedError

    with watching() as onlooker:
        try:
            results = run_experiments(
                NAMES if which == "all" else [which],
                scale=scale,
                data=data,
                seeds=seeds,
                jobs=jobs,
                device=device,
                precision=precision,
                compiled=compiled,
                out=out,
                kept=kept,
                onlooker=onlooker,
                command=["residua", *sys.argv[1:]],
            )
        except (StoppedError, KeyboardInterrupt) as error:
            code = getattr(error, "exit_code", 128 + signal.SIGINT)
            raise StoppedError("stopped and saved: the same command goes on.", code) from None
    _print(out, [each.as_json() for each in results], json)
    if not all(each.complete and not each.troubles for each in results):
        raise typer.Exit(1)


@app.command()
def show(which: Which, scale: ScaleOption = "quick", out: Out = LAB, json: Json = False) -> None:
    """Show what the last run of an experiment came to, finished or not."""
    from residua.lab.catalogue import name_of
    from residua.lab.reporting.keeping import wanted

    _print(out, [record.result for record in wanted(out, name_of(which), scale)], json)


@app.command()
def new(name: Annotated[str, typer.Argument(help="What to call it: NAME.yaml is written.")]) -> None:
    """Write a small experiment to begin from, which runs as it is."""
    from residua.lab.catalogue import write_example

    path = write_example(name)
    typer.echo(f"written to {path}: `residua lab run {path}` runs it.", err=True)


app.command()(lab_report.report)


def _print(lab: Path, results: Sequence[Mapping[str, Any]], json: bool) -> None:
    from residua.cli import tables
    from residua.cli.lab_tables import claims_table, networks_table, remarks
    from residua.lab.reporting.records import Record

    if json:
        return typer.echo(json_format.dumps(results[0] if len(results) == 1 else results, indent=2))
    for record in (Record(lab, each, {}) for each in results):
        tables.show(networks_table(record))
        for remark in remarks(record):
            typer.echo(visible(remark), err=True)
        if record.claims:
            tables.show(claims_table(record))
    return None
