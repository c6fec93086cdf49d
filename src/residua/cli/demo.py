"""The first job: train on handwritten digits that come along, and predict a few of those held out."""

from __future__ import annotations

from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from residua.training.running import Finished

LEAST = 97.0  # percent
SHOWN = 8
# One thread is enough for so little, and does not wait for others on a busy machine.
SETTINGS: dict[str, Any] = {"model": "cifar_resnet8", "epochs": 20, "deterministic": True, "threads": 1}


def demo(
    folder: Annotated[Path, typer.Option(help="Where pictures and runs go.")] = Path("residua-demo"),
) -> None:
    """Train a network to read handwritten digits, in less than a minute, and predict a few."""
    from residua.cli.training_progress import watching
    from residua.data.sources.digits import write_folder
    from residua.training.running import train

    pictures = folder / "digits"
    if not pictures.exists():
        write_folder(pictures)
    with watching() as watch:
        finished = train(pictures, out=_free(folder), watch=watch, **SETTINGS)
    if finished.best < LEAST:
        raise RuntimeError(f"only {finished.best:.2f}% were recognised, {LEAST}% were expected")
    typer.echo("\n".join(_predicted(pictures, finished)))
    typer.echo(_where(pictures, finished.folder))


def _free(folder: Path) -> Path:
    """Name the next run."""
    names = chain(["run"], (f"run-{number}" for number in count(2)))
    return next(folder / name for name in names if not (folder / name).exists())


def _predicted(pictures: Path, finished: Finished) -> list[str]:
    """Predict pictures that were held out, of as many classes."""
    from residua.data.sources.recognition import open_data
    from residua.data.sources.table import read_rows
    from residua.judging.runfiles import SPLIT

    data = open_data(pictures)
    place_of = {name: place for place, name in enumerate(data.names)}
    rows = list(read_rows(finished.folder / SPLIT, ("path", "label", "split")))
    held_out = {row["label"]: place_of[row["path"]] for row in rows if row["split"] == "val"}
    places = list(held_out.values())[:SHOWN]
    lines = []
    predict: Any = finished.model().predict  # of one picture: one prediction
    for place in places:
        guess = predict(data.read(place, "gray"))
        lines.append(f"{pictures / data.names[place]} is a {guess.label} ({guess.probability:.1%})")
    return lines


def _where(pictures: Path, run: Path) -> str:
    return (
        f"\nThe pictures are in {pictures}, the run in {run}: best.safetensors is the model,\n"
        "MODEL_CARD.md says what it is, report.html how it came to be.\n"
        "`residua train FOLDER` does the same with your pictures."
    )
