"""A training so small that a test can repeat it many times."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from residua.data.dataset import Data
from residua.data.sources.digits import open_digits
from residua.judging.runfiles import METRICS, read_metrics
from residua.nets.zoo import spec
from residua.training.keeping import checkpoint
from residua.training.keeping.interruption import Interruption
from residua.training.keeping.run import Run
from residua.training.loop import Training
from residua.training.pictures.loaders import Loaders
from residua.training.recipes import Recipe
from residua.training.settings import Settings
from residua.training.start import _network, prepared
from residua.training.telling.stopping import StoppedError
from residua.training.telling.watching import Watch
from residua.training.updating.state import State
from residua.weights.metadata import Preprocessing

NETWORK: dict[str, Any] = {"units": (1, 1, 1), "widths": (4, 4, 4), "stem_width": 4}
RULE = Preprocessing(size=8, resize=8, channels="gray", mean=(0.3,), std=(0.4,))


def digits(train: int = 64, val: int = 24) -> Data:
    """The first of the digits: some to train on, the next to judge."""
    data = open_digits().keep(np.arange(train + val))
    data.parts[:] = [0] * train + [1] * val
    return data


def settings(network: dict[str, Any] | None = None, **recipe: Any) -> Settings:
    """Three passes of four updates, but for what is said."""
    given = NETWORK | {"num_classes": 10, "in_channels": 1, "input_size": 8} | (network or {})
    recipe = {"epochs": 3, "batch": 16, "learning_rate": 0.05} | recipe
    return Settings(
        data="digits",
        spec=spec("cifar_resnet20", **given),
        preprocessing=RULE,
        recipe=Recipe(**recipe),
        steps=12,
        epoch_steps=4,
        workers=0,
        log_steps=3,
    )


class Asking(Interruption):
    """An end that is asked for when the training has looked for it so many times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def asked(self) -> bool:
        self.looks -= 1
        if self.looks <= 0:
            self.signal = signal.SIGTERM
        return self.signal is not None


def training(
    run: Run,
    chosen: Settings,
    data: Data | None = None,
    watch: Watch | None = None,
    asked: Interruption | None = None,
) -> Training:
    """A training that stands where its run's newest checkpoint does, of a new run at the beginning."""
    loaders = Loaders(data or digits(), chosen)
    if checkpoint.newest(run.state) is None:
        state = State(_network(chosen), chosen.recipe)
        checkpoint.save(run.state, 0, state.tensors(), state.facts())
    return prepared(run, loaders, watch or Watch(), asked or Interruption())


def to_the_end(folder: Path, chosen: Settings, data: Data | None = None) -> Training:
    """Train in a folder, from wherever it stands, without interruption."""
    with Run.create_at(folder) if not folder.exists() else opened(folder) as run:
        work = training(run, chosen, data)
        work.go()
    return work


def opened(folder: Path) -> Run:
    """Hold a run that has no settings written down."""
    (folder / "config.yaml").touch()
    return Run.open(folder)


def in_pieces(folder: Path, chosen: Settings, looks: Iterable[int] = (2, 3, 5, 4, 6)) -> tuple[Training, int]:
    """Train with a stop after nearly every piece of work; return also how many there were."""
    Run.create_at(folder).close()
    for stops, count in enumerate(itertools.islice(itertools.cycle(looks), 200)):
        with opened(folder) as run:
            work = training(run, chosen, asked=Asking(count))
            try:
                work.go()
            except StoppedError:
                continue
            return work, stops
    raise AssertionError("the training does not end")


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether all tensors are the same to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def lines(folder: Path) -> list[dict[str, Any]]:
    """The metrics, less what depends on the clock."""
    found = read_metrics(folder) if (folder / METRICS).exists() else []
    return [{name: value for name, value in line.items() if "per_second" not in name} for line in found]


def facts(work: Training) -> dict[str, Any]:
    """What was counted, less what depends on the clock."""
    return {name: value for name, value in work.state.facts().items() if name != "metrics_bytes"}


def poisoned(work: Training, at: int, poison: Callable[[Tensor], Tensor]) -> Training:
    """Spoil the logits of the update of which so many went before."""
    network = work.state.network

    def spoil(_module: object, _inputs: object, logits: Tensor) -> Tensor:
        return poison(logits) if network.training and work.counts.step == at else logits

    network.register_forward_hook(spoil)
    return work
