"""Where experiments come from: those that come with Residua, by name, and files of the user's own."""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from residua.errors import UserError, unknown
from residua.files import write_text
from residua.lab import TRIALS
from residua.lab.claims import about
from residua.lab.experiment import Experiment, check_name
from residua.training.asking.configfile import read_config

NAMES = (  # in the order in which they build on each other
    "tables",
    "degradation",
    "projections",
    "bottleneck",
    "shortcuts",
    "orders",
    "depth",
    "responses",
    "gradients",
    "lesions",
    "paths",
    "norm",
)
ENDINGS = (".yaml", ".yml")
EXAMPLE = """\
# An experiment: `residua lab run {file}` runs it as it is.
name: "{name}"
title: Does dropping units at random help?
question: The last unit is left out of half of the updates, the first of hardly any.

# Each network has a label, and is a name of `residua models`, or one and changes of its description
# (docs/fields.md). {{depth}} stands for each depth that the scale names.
networks:
  all units: cifar_resnet{{depth}}
  some dropped: {{network: "cifar_resnet{{depth}}", stochastic_depth: 0.5}}

# Changes of the recipe (docs/recipes.md); a network may have a `recipe` of its own too.
recipe: {{weight_decay: 1e-4}}

# What is measured beside the error: responses, gradients, lesions, paths, statistics (docs/inside.md).
measurements: [lesions]

# What differs at each scale: quick (digits, 4 passes), small (--data, 8 passes), paper (--data, the paper's).
scales:
  quick: {{depths: 8, epochs: 3, seeds: 2}}
  small: {{depths: 20}}
  paper: {{depths: 56}}

# What is to be judged: a number, a bound or, as here, an order.
claims:
  - id: dropped-is-better
    says: Dropping units lowers the error.
    less: some dropped
    than: all units
"""


def experiment(which: str | os.PathLike[str] | Experiment) -> Experiment:
    """Return an experiment by its name, or from a YAML file."""
    made = which if isinstance(which, Experiment) else _named(os.fspath(which))
    _check_free(made.name, made)
    return made


def name_of(which: str) -> str:
    """Return the name of an experiment by which it was run: that in a file, or as it is."""
    return experiment(which).name if which.endswith(ENDINGS) else which


def experiments() -> list[Experiment]:
    """Return every experiment that comes with Residua."""
    return [_shipped(name) for name in NAMES]


def write_example(name: str, folder: Path | None = None) -> Path:
    """Write a small experiment to begin from, which runs as it is; a file that exists stays."""
    path = Path(folder or "", name if name.endswith(ENDINGS) else f"{name}.yaml")
    check_name(path.stem)
    _check_free(path.stem)
    if os.path.lexists(path):
        raise UserError(f"{path} exists, and is not overwritten: name another.")
    write_text(path, EXAMPLE.format(name=path.stem, file=path.name))
    return path


def _named(name: str) -> Experiment:
    if name in NAMES:
        return _shipped(name)
    if name.endswith(ENDINGS):
        return Experiment.read({"name": Path(name).stem, **read_config(Path(name))})
    raise unknown("experiment", name, NAMES)


def _check_free(name: str, made: Experiment | None = None) -> None:
    """Fail for a name whose folder holds something else."""
    if name in NAMES and made != _shipped(name):
        raise UserError(f"{name!r} comes with Residua: give your experiment another name.")
    if name.casefold() == TRIALS:
        raise UserError(f"{name!r} is the folder of all trials: give your experiment another name.")


@cache
def _shipped(name: str) -> Experiment:
    with as_file(files("residua.lab").joinpath("experiments", f"{name}.yaml")) as path:
        return Experiment.read({"name": name, "claims": about(name), **read_config(path)})
