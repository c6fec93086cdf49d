"""The recipes that have names, for small pictures and for photos: data, to be read and edited."""

from __future__ import annotations

from typing import Any, NamedTuple

from residua.data.augmentation import AUGMENTATIONS
from residua.data.augmentation.description import SMALL
from residua.errors import unknown
from residua.training.recipes.description import Recipe


class Pair(NamedTuple):
    """One recipe's forms for small pictures and for photos."""

    small: Recipe
    photo: Recipe


RECIPES = {
    # As the first paper trained its networks.
    "paper": Pair(
        small=Recipe(
            steps=64_000,
            batch=128,
            learning_rate=0.1,
            nesterov=False,
            weight_decay=1e-4,
            decayed="all",
            schedule="steps",
            milestones=(0.5, 0.75),  # 32,000 and 48,000 updates
            augmentation=AUGMENTATIONS["cifar"],
        ),
        photo=Recipe(
            steps=600_000,
            batch=256,
            learning_rate=0.1,
            nesterov=False,
            weight_decay=1e-4,
            decayed="all",
            schedule="plateau",
            augmentation=AUGMENTATIONS["photo-paper"],
        ),
    ),
    # Few passes over the data, each update as large as it can be.
    "fast": Pair(
        small=Recipe(
            epochs=20,
            batch=128,
            optimizer="muon",
            learning_rate=0.02,
            vector_rate=0.05,
            momentum=0.95,
            weight_decay=0.05,
            schedule="linear",
            warmup=0.1,
            augmentation=AUGMENTATIONS["cifar-fast"],
        ),
        photo=Recipe(
            epochs=18,
            batch=256,
            learning_rate=0.4,
            weight_decay=5e-5,
            label_smoothing=0.1,
            schedule="linear",
            warmup=0.1,
            sizes=(5 / 7, 5 / 7, 6 / 7, 6 / 7, 1.0),  # 160, 192 and 224 pixels
            augmentation=AUGMENTATIONS["photo-gentle"],
        ),
    ),
    # From weights learned elsewhere: the classifier first, then the rest, the more slowly the earlier.
    "finetune": Pair(
        small=Recipe(
            epochs=15,
            batch=64,
            learning_rate=0.02,
            warmup=0.1,
            label_smoothing=0.1,
            freeze=1,
            layer_decay=0.7,
            augmentation=AUGMENTATIONS["cifar"],
        ),
        photo=Recipe(
            epochs=15,
            batch=32,
            learning_rate=0.01,
            warmup=0.1,
            label_smoothing=0.1,
            freeze=1,
            layer_decay=0.7,
            augmentation=AUGMENTATIONS["photo-gentle"],
        ),
    ),
    # What has become usual since, for the best result of a long training.
    "modern": Pair(
        small=Recipe(
            epochs=200,
            batch=128,
            learning_rate=0.1,
            weight_decay=5e-4,
            warmup=0.025,
            label_smoothing=0.1,
            augmentation=AUGMENTATIONS["cifar"].edit(mixup=0.2),
            average=0.999,
        ),
        photo=Recipe(
            epochs=100,
            batch=256,
            learning_rate=0.25,
            weight_decay=3e-5,
            warmup=0.05,
            label_smoothing=0.1,
            augmentation=AUGMENTATIONS["photo"].edit(mixup=0.2),
            average=0.9999,
        ),
    ),
}
DEEP = 110  # layers from which the first paper's rate is too high to begin with


def recipe(name: str, /, *, size: int, depth: int = 0, **changes: Any) -> Recipe:
    """Return a named recipe for pictures of a size and a network of a depth, with some fields changed."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    small, photo = RECIPES[name]
    chosen = (small if size <= SMALL else photo).edit(name=name)
    if name == "paper" and size <= SMALL and depth >= DEEP:
        chosen = chosen.edit(warmup=400 / 64_000, warmup_factor=0.1)  # until the error is below 80%
    return chosen.edit(**changes)
