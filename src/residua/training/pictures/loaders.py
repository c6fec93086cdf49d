"""Which pictures a training reads, and how: training at the size of the moment, judging at the full one."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from functools import cached_property, lru_cache
from itertools import groupby, islice

from residua.data.dataset import Data, Places
from residua.data.draws import order
from residua.data.loading.loader import Batch, Loader
from residua.training.recipes import Recipe
from residua.training.settings import Settings
from residua.training.updating.schedule import size_at
from residua.weights.metadata import Preprocessing


class Loaders:
    """The loaders of a training, made when they are needed.

    Training may read packed pictures; judging reads the original ones, as prediction does.
    """

    def __init__(self, data: Data, settings: Settings, packed: Data | None = None) -> None:
        self.data, self.settings, self._packed = data, settings, packed or data
        self.training_places = training_places(data, settings.picture_seed, settings.limit)
        self._of_size = lru_cache(maxsize=1)(self._training)  # a GPU may hold the pictures of each

    def training(self, step: int) -> Loader:
        """Return the loader for an update, of which so many went before."""
        return self._of_size(self._size(step))

    def batches(self, epoch: int, start: int) -> Generator[Batch]:
        """Yield the batches of a pass from the one that `start` counts, each at the size of its update."""
        first, per_pass = epoch * self.settings.epoch_steps, self.settings.epoch_steps
        for _, same in groupby(range(start, per_pass), lambda place: self._size(first + place)):
            places = list(same)
            with closing(self.training(first + places[0]).epoch(epoch, places[0])) as batches:
                yield from islice(batches, len(places))

    def _size(self, step: int) -> int:
        s = self.settings
        return size_at(s.recipe, step, s.steps, s.preprocessing.size)

    @cached_property
    def judging(self) -> Loader:
        """The loader of the pictures that are judged."""
        s = self.settings
        places = self.data.places("val")
        return Loader(self.data, places, s.preprocessing, s.recipe.batch, workers=s.workers, device=s.device)

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


def epoch_steps(data: Data, places: Places, recipe: Recipe) -> int:
    """Count the updates of a pass over these pictures: the whole batches that its loader makes."""
    return pass_pictures(data, places, recipe) // recipe.batch


def pass_pictures(data: Data, places: Places, recipe: Recipe) -> int:
    """Count the pictures of a pass, of which a balanced one has as many of each class."""
    count = len(places)
    if recipe.sampling == "balanced":
        count -= count % max(1, len(set(data.labels[places].tolist())))
    return count


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
