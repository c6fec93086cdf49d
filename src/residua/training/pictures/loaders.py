"""Which pictures a training reads, and how: training at the size of the moment, judging at the full one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from residua.data.dataset import Data, Places
from residua.data.draws import order
from residua.data.loading.loader import Loader
from residua.training.recipes import Recipe
from residua.training.settings import Settings
from residua.training.updating.schedule import size_at
from residua.weights.metadata import Preprocessing


class Loaders:
    """The loaders of a training; one for each size, made when it is needed.

    Training may read packed pictures; judging reads the original ones, as prediction does.
    """

    def __init__(self, data: Data, settings: Settings, packed: Data | None = None) -> None:
        self.data, self.settings, self._packed = data, settings, packed or data
        self.training_places = training_places(data, settings.seed, settings.limit)
        self._of_size = cache(self._training)

    def training(self, epoch: int) -> Loader:
        """Return the loader of an epoch."""
        s = self.settings
        epochs = -(-s.steps // s.epoch_steps)
        return self._of_size(size_at(s.recipe, epoch, epochs, s.preprocessing.size))

    def judging(self) -> Loader:
        """Return the loader of the pictures that are judged."""
        return self._loader(self.data.places("val"), self.settings.preprocessing, self.settings.recipe.batch)

    def _training(self, size: int) -> Loader:
        s = self.settings
        return Loader(
            self._packed,
            self.training_places,
            at_size(s.preprocessing, size),
            s.recipe.batch,
            seed=s.seed,
            shuffle=True,
            balanced=s.recipe.sampling == "balanced",
            augmentation=s.recipe.augmentation,
            workers=s.workers,
            device=s.device,
            drop_last=True,
        )

    def _loader(self, places: Places, rule: Preprocessing, batch: int) -> Loader:
        s = self.settings
        return Loader(self.data, places, rule, batch, workers=s.workers, device=s.device)


def epoch_steps(data: Data, places: Places, recipe: Recipe) -> int:
    """Count the updates of a pass over these pictures: the whole batches that its loader makes."""
    count = len(places)
    if recipe.sampling == "balanced":
        count -= count % max(1, len(set(data.labels[places].tolist())))
    return count // recipe.batch


def training_places(data: Data, seed: int, limit: int | None) -> Places:
    """Return the training pictures, or so many of them, drawn by the seed."""
    places = data.places("train")
    if limit is None or limit >= len(places):
        return places
    drawn: Places = places[order(seed, 0, len(places))[:limit].sort().values.numpy()]
    return drawn


def at_size(rule: Preprocessing, size: int) -> Preprocessing:
    """Return the contract for another side, everything in proportion."""
    return replace(rule, size=size, resize=max(size, round(rule.resize * size / rule.size)))
