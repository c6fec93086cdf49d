"""A trial whose training is over, and the pictures by which it is measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from torch import Tensor

from residua.data.dataset import Data, Places
from residua.data.draws import order
from residua.data.loading.loader import Loader
from residua.judging.runfiles import CONFIG, LAST
from residua.nets.batchnorm import recalibrate
from residua.nets.devices import device_named
from residua.nets.initialization import seeded
from residua.nets.network import Network, Vgg, build_network
from residua.nets.plan import plan
from residua.training.asking.configfile import read_config
from residua.training.pictures.loaders import Loaders
from residua.training.settings import Settings
from residua.weights.modelfile import load

LOOKED_INTO = 64  # pictures whose gradients are taken
AT_ONCE = 128  # pictures in a batch
CALIBRATING = 512  # training pictures whose statistics an untrained network gets
Inputs = Iterator[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Trained:
    """A trial whose training is over: the network as its last update left it, and its pictures."""

    run: Path
    data: Data  # in its parts
    device: str | None = None  # None: where it was begun

    @cached_property
    def settings(self) -> Settings:
        """Return what the run has written down."""
        settings = Settings.from_dict(read_config(self.run / CONFIG))
        return replace(settings, device=device_named(self.device or settings.device))

    @cached_property
    def network(self) -> Network | Vgg:
        """Return the network, ready to predict."""
        return load(self.run / LAST).network.to(self.settings.device).eval()

    def beginning(self) -> Network | Vgg:
        """Return the network as it was before its first update, with the averages of some training pictures.

        With those it was made with, 0 and 1, its norms would normalize nothing.
        """
        with seeded(self.settings.seed):
            network = build_network(plan(self.settings.spec))
        network.to(self.settings.device).eval()
        recalibrate(network, (inputs for inputs, _ in self.mixed(self.seen(CALIBRATING))))
        return network

    def seen(self, most: int) -> Places:
        """Return the pictures that it was trained on, or so many drawn ones of them."""
        return drawn(Loaders(self.data, self.settings).training_places, most)

    def held_out(self, most: int | None = None) -> Places:
        """Return the pictures that it was not trained on, or so many drawn ones of them."""
        return drawn(self.data.places("val"), most)

    def batches(self, places: Places, batch: int = AT_ONCE) -> Inputs:
        """Yield inputs and labels of pictures, in this order."""
        return batches_of(self.data, places, self.settings, batch)

    def mixed(self, places: Places) -> Inputs:
        """Yield inputs and labels in batches as training had them: mixed, of one size, none smaller."""
        batch = min(self.settings.recipe.batch, len(places))
        whole = len(places) // batch * batch
        return self.batches(mixed(places)[:whole], batch)

    def augmented(self, most: int) -> Inputs:
        """Yield inputs and labels of the last batches of its last pass, of so many pictures at most.

        They are augmented as in training, but for what mixes pictures with each other.
        """
        settings = replace(self.settings, device="cpu")  # as in `batches_of`
        before = (settings.epochs - 1) * settings.epoch_steps  # updates before its last pass
        first = max(before, settings.steps - max(1, most // settings.recipe.batch))
        batches = Loaders(self.data, settings).batches(settings.epochs - 1, first - before)
        for each in islice(batches, settings.steps - first):
            yield each.inputs().to(self.settings.device), each.labels.to(self.settings.device)

    def some(self) -> tuple[Tensor, Tensor]:
        """Return inputs and labels of a few held-out pictures."""
        return some_of(self.data, self.settings)


def batches_of(data: Data, places: Places, settings: Settings, batch: int = AT_ONCE) -> Inputs:
    """Yield inputs and labels of pictures, in this order.

    They are read on the CPU: a GPU would be given the whole data set again for each measurement.
    """
    loader = Loader(data, places, settings.preprocessing, batch, workers=settings.workers)
    for each in loader.epoch(0):
        yield each.inputs().to(settings.device), each.labels.to(settings.device)


def some_of(data: Data, settings: Settings) -> tuple[Tensor, Tensor]:
    """Return inputs and labels of the same few held-out pictures for every network."""
    return next(batches_of(data, drawn(data.places("val"), LOOKED_INTO), settings))


def drawn(places: Places, most: int | None) -> Places:
    """Return so many of these places, always the same, in their order; all if there are no more."""
    if most is None or len(places) <= most:
        return places
    chosen: Places = np.sort(mixed(places)[:most])
    return chosen


def mixed(places: Places) -> Places:
    """Return places in another order, always the same; class folders have them class by class."""
    found: Places = places[order(0, 0, len(places)).numpy()]
    return found
