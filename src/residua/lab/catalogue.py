"""Where experiments come from: those that come with Residua, by name, and files of the user's own."""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from residua.errors import UserError, unknown
from residua.files import replacing
from residua.lab.claims import about
from residua.lab.experiment import Experiment
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
# An experiment: `residua lab run {name}.yaml` runs it as it is.
name: {name}
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
    if isinstance(which, Experiment):
        return which
    name = os.fspath(which)
    if name in NAMES:
        return _shipped(name)
    if name.endswith(ENDINGS):
        return Experiment.read({"name": Path(name).stem, **read_config(Path(name))})
    raise unknown("experiment", name, NAMES)


def experiments() -> list[Experiment]:
    """Return every experiment that comes with Residua."""
    return [_shipped(name) for name in NAMES]


def write_example(name: str, folder: Path | None = None) -> Path:
    """Write a small experiment to begin from, which runs as it is; a file that exists stays."""
    text = EXAMPLE.format(name=name.removesuffix(".yaml"))
    path = (folder or Path()) / f"{name.removesuffix('.yaml')}.yaml"
    if path.exists():
        raise UserError(f"{path} exists, and is not overwritten: name another.")
    if path.stem in NAMES:
        raise UserError(f"{path.stem!r} comes with Residua: give your experiment another name.")
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    experiment(path)
    return path


@cache
def _shipped(name: str) -> Experiment:
    with as_file(files("residua.lab").joinpath("experiments", f"{name}.yaml")) as path:
        return Experiment.read({"name": name, "claims": about(name), **read_config(path)})
