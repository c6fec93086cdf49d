"""The command that predicts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residua.cli.options import Batch, Device, Workers
from residua.errors import UserError

if TYPE_CHECKING:
    from residua.judging.predicting.prediction import FileResult

NAMED = 100  # such files that are named at the end
BAD, INTERRUPTED = 1, 130


def predict(
    model: Annotated[Path, typer.Argument(help="A model file.")],
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILES|FOLDERS|-", help="Pictures and folders; - reads paths, one a line."),
    ],
    top: Annotated[int | None, typer.Option(help="How many guesses; if not said 1, in JSON 5.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each file.")] = False,
    null: Annotated[bool, typer.Option("--null", "-0", help="Paths on - end with NULs, not lines.")] = False,
    batch: Batch = 32,
    workers: Workers = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="fp32, or bf16 where the device multiplies in it.")] = "fp32",
) -> None:
    """Say what pictures show, each as soon as it is known. A bad file stops nothing.

    Exit code 0: done. 1: done, but some files cannot be predicted. 2: it cannot be done. 130: interrupted.
    """
    said = _Said()
    try:
        from residua.cli.predictions import way, write
        from residua.judging.model import load
        from residua.nets.devices import device_named

        loaded = load(model)
        loaded.network.to(device_named(device))
        shown = way(loaded, csv, json, top)
        ask = partial(loaded.predict, top=shown.top, batch=batch, workers=workers, precision=precision)
        results = chain.from_iterable(map(ask, _given(files, null)))
        for found in write(results, shown):
            said.add(found)
    except KeyboardInterrupt:
        typer.echo(f"residua: interrupted after {said.count:,} files.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if not said.count:
        raise UserError(_empty(files))
    if said.failed:
        said.name_failed()
        raise typer.Exit(BAD)


def _given(files: list[str], null: bool) -> Iterator[Iterator[str]]:
    """Yield what is named, and at - what standard input names, in stretches that nothing holds up."""
    from residua.cli.names import names_from, standard_input

    for is_input, names in groupby(files, "-".__eq__):
        if is_input:
            yield from names_from(standard_input(), b"\0" if null else b"\n")
        else:
            yield names


def _empty(files: list[str]) -> str:
    from residua.text import visible

    if files == ["-"]:
        return "there is nothing to predict: standard input names no files."
    return f"there is nothing to predict: no pictures in {visible(', '.join(files))}."


class _Said:
    """How many results there were, and the first of the files that could not be predicted."""

    def __init__(self) -> None:
        self.count = self.failed = 0
        self.first: list[FileResult] = []

    def add(self, found: FileResult) -> None:
        self.count += 1
        if found.error:
            self.failed += 1
            if self.failed <= NAMED:
                self.first.append(found)

    def name_failed(self) -> None:
        """List them on standard error."""
        from residua.text import visible

        typer.echo(f"residua: {self.failed:,} of {self.count:,} files cannot be predicted:", err=True)
        for found in self.first:
            typer.echo(visible(f"  {found.path}: {found.error}"), err=True)
        if self.failed > NAMED:
            typer.echo(f"  and {self.failed - NAMED:,} more", err=True)
