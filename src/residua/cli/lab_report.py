"""The command that writes the lab's pages."""

from __future__ import annotations

import json as json_format
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from residua.cli.options import Json
from residua.lab import LAB


def report(
    which: Annotated[str | None, typer.Argument(help="An experiment, if not all of them.")] = None,
    scale: Annotated[str | None, typer.Option(help="quick, small or paper, if not all of them.")] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the trials and results, where the pages go too.")
    ] = LAB,
    into: Annotated[
        Path | None, typer.Option(help="Write short pages of Markdown with their figures into this folder.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a page for each experiment that was run, whole or in part, and one that leads to all of them."""
    from residua.lab.catalogue import name_of
    from residua.lab.reporting.keeping import wanted, write_pages
    from residua.lab.reporting.summary import write_summary

    name = None if which is None else name_of(which)
    say = partial(typer.echo, err=True)
    if into:
        written = [write_summary(record, into, say) for record in wanted(out, name, scale, say)]
    else:
        written = write_pages(out, name, scale, say)
    if json:
        return typer.echo(json_format.dumps([str(path) for path in written], indent=2))
    for path in written:
        typer.echo(f"written to {path}")
    return None
