"""From the pictures and what was asked for to settings: what nobody chose is chosen here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch

from residua.data.ahead import processors
from residua.data.augmentation import usual
from residua.data.augmentation.description import SMALL
from residua.data.dataset import Data
from residua.errors import UserError, unknown
from residua.nets.devices import device_named, multiplies_bf16
from residua.nets.plan import plan
from residua.nets.spec import AnySpec
from residua.nets.zoo import spec as named_spec
from residua.training.asking.changes import Changes
from residua.training.asking.wanted import Wanted as Wanted
from residua.training.pictures.loaders import at_size, epoch_steps, training_places
from residua.training.recipes import RECIPES, Recipe
from residua.training.recipes import recipe as named_recipe
from residua.training.settings import Settings
from residua.training.settling.beginnings import Beginning, from_published_if_possible, from_weights
from residua.training.settling.statistics import colours
from residua.weights.metadata import Preprocessing

PHOTO = 224
FEW = 50_000  # photos below which weights learned elsewhere are worth more than a fresh start
LEAST_STEPS = 400  # updates below which a training is lengthened, if nobody said how long


@dataclass(frozen=True)
class Pictures:
    """What the choices look at."""

    data: Data  # split, without bad ones
    side: int  # the middle of the shorter sides
    gray: bool

    @property
    def small(self) -> bool:
        """Whether they are no photos."""
        return self.side <= SMALL


def check_names(wanted: Wanted) -> None:
    """Fail for what no picture can mend before any is looked at."""
    changes = Changes.sorted(wanted.changes)
    device_named(wanted.device)
    if wanted.model:
        changes.of_network(named_spec(wanted.model))
    if wanted.recipe is not None and wanted.recipe not in RECIPES:
        raise unknown("recipe", wanted.recipe, RECIPES)


def begin_from(wanted: Wanted, pictures: Pictures) -> Beginning:
    """Settle what the network starts from: few photos are not enough to start from nothing."""
    classes = len(pictures.data.classes)
    if wanted.weights == "none":
        return Beginning("none, as asked: from scratch")
    if wanted.weights is not None:
        imagenet = wanted.weights.split("-")[0] == "imagenet"
        model = wanted.model or (_photo_network(wanted) if imagenet else None)
        return from_weights(wanted.weights, model, classes, wanted.seed)
    name = model_name(wanted, pictures)
    photos = not pictures.small and (wanted.size or PHOTO) > SMALL
    if wanted.recipe not in (None, "finetune"):
        return Beginning(f"none: the recipe {wanted.recipe} is for a start from scratch")
    if not photos or len(pictures.data.places("train")) > FEW:
        return Beginning(f"none: {'so many photos' if photos else 'small pictures'} are learned from scratch")
    return from_published_if_possible(name, classes, wanted.seed)


def choose(wanted: Wanted, pictures: Pictures, beginning: Beginning | None = None) -> Settings:
    """Settle everything that needs no measuring."""
    beginning = beginning or Beginning("none")
    changes = Changes.sorted(wanted.changes)
    device = device_named(wanted.device)
    rule, chosen = _input(wanted, pictures, beginning, changes)
    places = training_places(pictures.data, wanted.seed, wanted.limit)
    recipe = _recipe(wanted, pictures, chosen, rule.size, len(places), beginning, changes)
    steps = epoch_steps(pictures.data, places, recipe)
    settings = Settings(
        data=wanted.data,
        root=wanted.root,
        val=wanted.val,
        max_bad=wanted.max_bad,
        limit=wanted.limit,
        spec=chosen,
        weights=beginning.source,
        preprocessing=rule,
        recipe=recipe,
        seed=wanted.seed,
        split_seed=wanted.split_seed,
        steps=recipe.steps or (recipe.epochs or 1) * steps,
        epoch_steps=steps,
        device=device,
        precision=_precision(wanted, device),
        checkpointing=wanted.checkpointing,
        threads=torch.get_num_threads(),
        workers=_workers() if wanted.workers is None else wanted.workers,
        deterministic=wanted.deterministic,
        on_nan=wanted.on_nan,
    )
    return replace(settings, **changes.own)


def model_name(wanted: Wanted, pictures: Pictures) -> str:
    """Return the network to train."""
    if wanted.model:
        return wanted.model
    return "cifar_resnet20" if (wanted.size or pictures.side) <= SMALL else _photo_network(wanted)


def _photo_network(wanted: Wanted) -> str:
    return "resnet18" if device_named(wanted.device) == "cpu" else "resnet50"


def _input(
    wanted: Wanted, pictures: Pictures, beginning: Beginning, changes: Changes
) -> tuple[Preprocessing, AnySpec]:
    """Settle what the network sees, and the network."""
    classes = len(pictures.data.classes)
    channels = 1 if pictures.gray else 3
    spec = beginning.spec or named_spec(
        model_name(wanted, pictures), num_classes=classes, in_channels=channels
    )
    if beginning.preprocessing:
        rule = at_size(beginning.preprocessing, wanted.size or beginning.preprocessing.size)
    else:
        rule = _preprocessing(wanted, pictures, spec)
    rule = changes.of_preprocessing(rule)
    return rule, changes.of_network(spec.edit(input_size=rule.size, num_classes=classes))


def _preprocessing(wanted: Wanted, pictures: Pictures, spec: AnySpec) -> Preprocessing:
    """Small pictures as they are, photos as is usual; colours as they are in these pictures."""
    size = wanted.size or _size(pictures.side)
    channels: Literal["gray", "rgb", "rgba"]
    channels = "gray" if spec.in_channels == 1 else "rgba" if spec.in_channels == 4 else "rgb"
    mean, std = colours(pictures.data, pictures.data.places("train"), channels, wanted.seed)
    resize = size if size <= SMALL else size * 8 // 7
    return Preprocessing(size=size, resize=resize, channels=channels, mean=mean, std=std)


def _size(side: int) -> int:
    """Small pictures as they are, photos at the usual size or, if they are smaller, at their own."""
    return max(side, 8) if side <= SMALL else min(PHOTO, round(side / 32) * 32)


def _recipe(
    wanted: Wanted,
    pictures: Pictures,
    chosen: AnySpec,
    size: int,
    count: int,
    beginning: Beginning,
    changes: Changes,
) -> Recipe:
    name = wanted.recipe or ("finetune" if beginning.state else "fast")
    found = named_recipe(name, size=size, depth=plan(chosen, size).depth)
    if wanted.recipe is None:
        found = _suited(found, size, pictures.gray)
    found = changes.of_recipe(found)
    if wanted.epochs:
        found = found.edit(epochs=wanted.epochs)
    if isinstance(wanted.batch, int):
        found = found.edit(batch=wanted.batch)
    elif "batch" not in changes.recipe:
        found = found.edit(batch=_batch(found.batch, count))
    if count < found.batch:
        raise UserError(
            f"{wanted.data!r} has {count} training pictures, fewer than a batch of {found.batch}: choose a "
            "smaller batch."
        )
    free = wanted.recipe is None and wanted.epochs is None and "epochs" not in changes.recipe
    if free and found.epochs:
        found = found.edit(epochs=max(found.epochs, -(-LEAST_STEPS // (count // found.batch))))
    return found


def _suited(recipe: Recipe, size: int, gray: bool) -> Recipe:
    """Fit a recipe's augmentation to the pictures, as nobody chose it: what is gray may be writing."""
    if size <= SMALL:
        return recipe.edit(augmentation=usual(size, gray))
    return recipe.edit(augmentation=recipe.augmentation.edit(flip="none")) if gray else recipe


def _batch(usual_batch: int, count: int) -> int:
    """Take the recipe's batch, or a smaller one where a pass would have fewer than eight."""
    batch = usual_batch
    while batch > 8 and batch * 8 > count:
        batch //= 2
    return max(1, min(batch, count))


def _precision(wanted: Wanted, device: str) -> Literal["fp32", "bf16"]:
    """bf16 where the processor multiplies in it; elsewhere it is slower than fp32."""
    if wanted.precision != "auto":
        return wanted.precision
    return "bf16" if multiplies_bf16(device) else "fp32"


def _workers() -> int:
    """Leave the other half of the processors to the network."""
    return max(1, min(8, processors() // 2))
