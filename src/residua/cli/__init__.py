"""The command line: few verbs, each a thin face of a function that a Python user can call."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, TextIO

import typer

from residua import __version__
from residua.cli import data, demo, evaluate, explain, inside, lab, nets, predict, report, train, weights
from residua.errors import UserError, out_of_memory
from residua.text import visible

USER_ERROR, INTERNAL_ERROR = 2, 70
PIPE_CLOSED = 128 + 13  # as a shell has it of a program that SIGPIPE ended

app = typer.Typer(
    name="residua",
    help="Residual networks as real software.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(nets.models)
app.command()(nets.describe)
app.command()(weights.convert)
app.command()(weights.inspect)
app.command()(weights.weights)
app.command()(data.check)
app.command()(data.pack)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(predict.predict)
app.command()(explain.explain)
app.command()(report.report)
app.command()(inside.lesion)
app.command()(inside.paths)
app.command()(inside.responses)
app.command()(inside.gradients)
app.command()(demo.demo)
app.add_typer(lab.app, name="lab")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _common(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    if debug:
        os.environ["RESIDUA_DEBUG"] = "1"


def main() -> None:
    """Run a command; whatever goes wrong is one sentence on standard error and an exit code."""
    sys.stdout, sys.stderr = map(_lenient, (sys.stdout, sys.stderr))
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # temporary files are removed
    try:
        app()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # of which typer and rich make an exit with 1
            sys.exit(PIPE_CLOSED)
        raise
    except Exception as error:
        if os.environ.get("RESIDUA_DEBUG"):
            raise
        sys.exit(_explained(error))


def _lenient(stream: TextIO | None) -> TextIO:
    """Let a stream take any name of a file, and have one where it is closed."""
    if stream is None:
        return Path(os.devnull).open("w")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    return stream


def _explained(error: Exception) -> int:
    if isinstance(error, UserError):
        return _said(str(error), error.exit_code)
    if isinstance(error, OSError):
        return _said(f"{error.filename or 'output'}: {error.strerror or error}.", USER_ERROR)
    where = "(run `residua --debug ...` to see where)"
    if out_of_memory(error):
        return _said(
            f"there is not enough memory: choose a smaller batch, picture or network {where}", USER_ERROR
        )
    kind = type(error).__name__
    return _said(f"internal error, {kind}: {error} {where}", INTERNAL_ERROR)


def _said(sentence: str, code: int) -> int:
    typer.echo(f"residua: {visible(sentence)}", err=True)
    return code
