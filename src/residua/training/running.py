"""Training from Python in one call: the face of everything in this room. It needs no torch to be imported."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from residua.files import Name
from residua.judging.runfiles import BEST, SUMMARY
from residua.training.asking.configfile import read_config
from residua.training.asking.wanted import wanted
from residua.training.keeping.folder import check_free
from residua.training.keeping.run import Run
from residua.training.telling.watching import Choices, Watch

if TYPE_CHECKING:
    from residua.judging.model import Model

RUNS = Path("runs", "train")


@dataclass(frozen=True)
class Finished:
    """A training that is over: where it lies and what it came to."""

    folder: Path
    summary: dict[str, Any]  # what summary.json says

    @property
    def best(self) -> float:
        """The best score on held-out pictures, by the recipe's metric; NaN if none was a number."""
        best = self.summary["best"]
        return math.nan if best is None else float(best)

    def model(self) -> Model:
        """Load the best model, ready to predict."""
        from residua.judging.model import load

        return load(self.folder / BEST)


def train(
    data: Name | None = None,
    *,
    out: Name | None = None,
    config: Name | None = None,
    watch: Watch | None = None,
    **settings: Any,
) -> Finished:
    """Train a classifier on labelled pictures; what is not set is chosen from the pictures and the machine.

    Settings are those of `residua train` (docs/training.md): model, recipe, size, epochs, time (in minutes),
    batch, weights, seed, val, limit, device and so on, and every field of a recipe. `config` is a file of
    settings, which those given here go before. The run lies in `out`, or in a new folder below runs/train.

    >>> train("photos/", model="resnet50", epochs=20, learning_rate=0.02).best  # doctest: +SKIP
    93.75
    """
    asked = wanted(data if data is None else os.fspath(data), *_files(config), settings)
    with _new(out, asked.name) as run:  # nobody else enters its folder from here on
        from residua.training.start import begin

        begin(run, asked, watch or Watch())
        return _finished(run.folder)


def resume(
    folder: Name | None = None,
    *,
    data: Name | None = None,
    device: str | None = None,
    on_nan: str | None = None,
    watch: Watch | None = None,
) -> Finished:
    """Go on with a training that was interrupted; without a folder with the newest below runs/train.

    It obeys what the run has written down, and ends with the weights that it would have had anyway. `data` is
    where its pictures are now, if they are somewhere else, and `device` where to compute.
    """
    with Run.newest_unfinished(RUNS) if folder is None else Run.open(Path(folder)) as run:
        from residua.training.start import resume as go_on

        go_on(run, watch or Watch(), data=_from_here(data), device=device, on_nan=on_nan)
        return _finished(run.folder)


def chosen(
    data: Name | None = None, *, out: Name | None = None, config: Name | None = None, **settings: Any
) -> Choices:
    """Return all that would be chosen for a training, and train nothing."""
    asked = wanted(data if data is None else os.fspath(data), *_files(config), settings)
    folder = (RUNS if out is None else Path(out)).absolute()
    if out is not None:
        check_free(folder)
    from residua.training.start import settle

    there = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    return settle(asked, Watch(), there).choices


@contextlib.contextmanager
def _new(out: Name | None, name: str) -> Iterator[Run]:
    """Hold a new run; of one that never began no file stays."""
    there = out is not None and Path(out).exists()
    with Run.create(RUNS, name) if out is None else Run.create_at(Path(out)) as run:
        try:
            yield run
        finally:
            if not run.begun:
                run.abandon(whole=not there)


def _from_here(data: Name | None) -> str | None:
    """Name data so that it is found from the folder that a run was begun in, too."""
    from residua.data.sources.recognition import is_named

    if data is None:
        return None
    name = os.fspath(data)
    return name if is_named(name) else str(Path(name).absolute())


def _files(config: Name | None) -> list[dict[str, Any]]:
    return [] if config is None else [read_config(Path(config))]


def _finished(folder: Path) -> Finished:
    return Finished(folder, json.loads((folder / SUMMARY).read_text(encoding="utf-8")))
