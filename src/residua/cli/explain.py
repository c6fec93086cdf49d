"""The command that shows where a network looked."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residua.cli.options import Json
from residua.files import check_files, check_suffix

if TYPE_CHECKING:
    from residua.judging.explaining.illustrating import Explanation


def explain(
    model: Annotated[Path, typer.Argument(help="A model file.")],
    image: Annotated[Path, typer.Argument(help="A picture.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The PNG to write, if not IMAGE-explained.png here.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Where it looked for this class (name or id), not for its first guess.")
    ] = None,
    json: Json = False,
) -> None:
    """Draw where a network looked in a picture (Grad-CAM), beside the picture and its first guesses."""
    from residua.judging.explaining.explanation import explain as run
    from residua.text import visible

    file = out or Path(f"{image.stem}-explained.png")
    check_files(file, inputs=[model, image])
    check_suffix(file, ".png")
    explanation = run(model, image, label)
    explanation.save(file)
    if json:
        return typer.echo(json_format.dumps(_as_json(explanation, image, file), allow_nan=False))
    for guess in explanation.prediction.top:
        typer.echo(f"{guess.probability:6.1%}  {visible(guess.label)}")
    looked = explanation.guess.label
    return typer.echo(visible(f"where it looked for {looked} is drawn in {file}"))


def _as_json(explanation: Explanation, image: Path, out: Path) -> dict[str, object]:
    return {
        "path": str(image),
        "out": str(out),
        **explanation.prediction.as_json(),
        "explained": asdict(explanation.guess),
        "seen": list(explanation.seen),
        "cells": list(explanation.cells),
    }
