"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DATA = "Class folders, a CSV, a CIFAR archive, a packed file, or digits, cifar10, cifar100."
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Batch = Annotated[int, typer.Option(help="Pictures at a time.")]
Workers = Annotated[int | None, typer.Option(help="Threads that read pictures.")]
Root = Annotated[Path | None, typer.Option(help="Folder of the pictures that a CSV names, if not its own.")]
Part = Annotated[
    str | None, typer.Option(help="train, val, test or all; if not said, test, or else val, or else all.")
]
Split = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Which part each picture is in: a run's split.csv.")
]
ClassMap = Annotated[
    Path | None, typer.Option(metavar="FILE", help="CSV (folder,class): what the model calls a class.")
]
MaxBad = Annotated[float, typer.Option(metavar="SHARE", help="Refuse data with more unreadable pictures.")]
