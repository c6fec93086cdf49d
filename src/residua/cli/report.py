"""The command that writes the report of a run."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from residua.cli.options import Json
from residua.files import check_files, check_suffix


def report(
    run: Annotated[Path, typer.Argument(help="The folder of a training, finished or not.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write, if not RUN/report.html.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Where the pictures are, if they have moved.")] = None,
    json: Json = False,
) -> None:
    """Write one self-contained HTML page about a training: how good the model is, and where it goes wrong."""
    check_suffix(out, ".html")
    from residua.cli.progress import progress
    from residua.judging.reporting.page import write_report

    check_files(out, inputs=[data])
    with progress("judging") as judging:
        written = write_report(run, out, data=data, progress=judging)
    if json:
        return typer.echo(json_format.dumps(written.as_json(), indent=2, allow_nan=False))
    for sentence in written.missing:
        typer.echo(sentence, err=True)
    return typer.echo(f"written to {written.path}")
