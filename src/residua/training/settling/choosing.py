"""From the pictures and what was asked for to settings: what nobody chose is chosen here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from residua.data.ahead import processors
from residua.data.augmentation import Augmentation
from residua.data.augmentation.description import SMALL
from residua.data.dataset import Data, Places
from residua.errors import UserError, unknown
from residua.nets.devices import check_precision, device_named, multiplies_bf16
from residua.nets.plan import plan
from residua.nets.spec import AnySpec
from residua.nets.zoo import spec as named_spec
from residua.training.asking.changes import SETTINGS, Changes
from residua.training.asking.wanted import Wanted, asked_for
from residua.training.pictures.loaders import at_size, epoch_steps, pass_pictures, training_places
from residua.training.recipes import RECIPES, Recipe
from residua.training.recipes import recipe as named_recipe
from residua.training.settings import Settings
from residua.training.settling.beginnings import Beginning, from_published_if_possible, from_weights
from residua.training.settling.statistics import colours
from residua.training.telling.tensorboard import needs_tensorboard
from residua.weights.metadata import Preprocessing

PHOTO = 224
FEW = 50_000  # photos below which weights learned elsewhere are worth more than a fresh start
LEAST_STEPS = 400  # updates below which a training is lengthened, if nobody said how long
LEAST_BATCH = 8
# What an optimizer has where it alone is named: another's figures mean something else to it.
USUAL: dict[str, dict[str, Any]] = {
    "sgd": {"learning_rate": 0.1, "weight_decay": 3e-4, "momentum": 0.9},
    "adamw": {"learning_rate": 1e-3, "weight_decay": 0.02},
    "muon": {"learning_rate": 0.02, "weight_decay": 0.02, "momentum": 0.95, "vector_rate": 0.05},
}
LEAST_CROPPED = 32  # pixels a side, below which crops are padded by less


@dataclass(frozen=True)
class Pictures:
    """What the choices look at."""

    data: Data  # split, without bad ones
    side: int  # the middle of the shorter sides
    gray: bool

    @property
    def small(self) -> bool:
        """Whether they are no photos."""
        return usual_size(self.side) <= SMALL


def check_names(wanted: Wanted) -> None:
    """Fail for what no picture can mend before any is looked at."""
    changes = Changes.sorted(wanted.changes)
    device_named(wanted.device)
    if wanted.model:
        changes.of_network(named_spec(wanted.model))
    if wanted.recipe is not None and wanted.recipe not in RECIPES:
        raise unknown("recipe", wanted.recipe, RECIPES)
    if changes.own.get("tensorboard"):
        needs_tensorboard()


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
    places = training_places(pictures.data, wanted.picture_seed, wanted.limit)
    recipe = _recipe(wanted, pictures, chosen, rule.size, places, beginning, changes)
    steps = epoch_steps(pictures.data, places, recipe)
    asked = {name: getattr(wanted, name) for name in asked_for() if name in SETTINGS}
    settled = {
        "spec": chosen,
        "weights": beginning.source,
        "preprocessing": rule,
        "recipe": recipe,
        "steps": recipe.steps or (recipe.epochs or 1) * steps,
        "epoch_steps": steps,
        "device": device,
        "precision": _possible_precision(wanted, device),
        "threads": torch.get_num_threads(),
        "workers": _half_the_processors() if wanted.workers is None else wanted.workers,
    }
    settings = Settings(**asked | settled | changes.own)
    return settings if "freeze" in changes.recipe else thawed(settings)


def model_name(wanted: Wanted, pictures: Pictures) -> str:
    """Return the network to train."""
    if wanted.model:
        return wanted.model
    return "cifar_resnet20" if (wanted.size or usual_size(pictures.side)) <= SMALL else _photo_network(wanted)


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
    if len(rule.mean) != spec.in_channels:
        raise UserError(
            f"preprocessing.channels={rule.channels!r} is not what this network begins with, "
            f"{spec.in_channels} channels: leave out preprocessing.channels, .mean and .std."
        )
    return rule, changes.of_network(spec.edit(input_size=rule.size, num_classes=classes))


def _preprocessing(wanted: Wanted, pictures: Pictures, spec: AnySpec) -> Preprocessing:
    """Small pictures as they are, photos as is usual; colours as they are in these pictures."""
    size = wanted.size or usual_size(pictures.side)
    channels: Literal["gray", "rgb", "rgba"]
    channels = "gray" if spec.in_channels == 1 else "rgba" if spec.in_channels == 4 else "rgb"
    mean, std = colours(pictures.data, pictures.data.places("train"), channels, wanted.picture_seed)
    return Preprocessing(size=size, resize=usual_resize(size), channels=channels, mean=mean, std=std)


def usual_size(side: int) -> int:
    """Small pictures as they are, photos at the usual size or, if they are smaller, at their own."""
    return max(side, 8) if side <= SMALL else min(PHOTO, round(side / 32) * 32)


def usual_resize(size: int) -> int:
    """What the shorter side of a picture is made before a square is cut out of it."""
    return size if size <= SMALL else size * 8 // 7


def _recipe(
    wanted: Wanted,
    pictures: Pictures,
    chosen: AnySpec,
    size: int,
    places: Places,
    beginning: Beginning,
    changes: Changes,
) -> Recipe:
    name = wanted.recipe or ("finetune" if beginning.state else "fast")
    own = named_recipe(name, size=size, depth=plan(chosen, size).depth)
    found = changes.of_recipe(own.edit(augmentation=suited(own.augmentation, size, pictures.gray)))
    if found.freeze and not beginning.state:
        raise UserError(
            f"freeze={found.freeze} in the recipe {name} keeps weights that come from elsewhere, and there "
            f"are none ({beginning.said.rstrip('.')}): name some with --weights, or choose another recipe."
        )
    if found.optimizer != own.optimizer:
        usual = USUAL[found.optimizer]
        found = found.edit(**{name: usual[name] for name in usual.keys() - changes.recipe.keys()})
    if wanted.epochs:
        found = found.edit(epochs=wanted.epochs)
    found, count = _batched(wanted, pictures.data, places, found, changes)
    if wanted.recipe is None and wanted.epochs is None and found.epochs:
        found = found.edit(epochs=max(found.epochs, -(-LEAST_STEPS // (count // found.batch))))
    return found


def _batched(
    wanted: Wanted, data: Data, places: Places, recipe: Recipe, changes: Changes
) -> tuple[Recipe, int]:
    """Settle the batch; return also how many pictures a pass has."""
    count = pass_pictures(data, places, recipe)
    if isinstance(wanted.batch, int):
        recipe = recipe.edit(batch=wanted.batch)
    else:
        recipe = _fitted(recipe, count, "learning_rate" in changes.recipe)
    if count < recipe.batch:
        balanced = " in a balanced pass" if recipe.sampling == "balanced" else ""
        raise UserError(
            f"{wanted.data!r} has {count} training pictures{balanced}, fewer than a batch of {recipe.batch}: "
            "choose a smaller batch."
        )
    return recipe, count


def thawed(settings: Settings) -> Settings:
    """Freeze for half of the passes at most, so that not the classifier alone learns."""
    recipe, most = settings.recipe, settings.steps // (2 * settings.epoch_steps)
    return replace(settings, recipe=recipe.edit(freeze=min(recipe.freeze, most)))


def suited(augmentation: Augmentation, size: int, gray: bool) -> Augmentation:
    """Fit a recipe's augmentation to the pictures: what is gray may be writing, and tiny crops move less."""
    changes: dict[str, Any] = {"flip": "none"} if gray else {}
    if augmentation.crop_padding and size < LEAST_CROPPED:
        changes["crop_padding"] = max(1, augmentation.crop_padding * size // LEAST_CROPPED)
    return augmentation.edit(**changes)


def _fitted(recipe: Recipe, count: int, rate_is_given: bool) -> Recipe:
    """Take a smaller batch where a pass would have fewer than eight, and with it SGD's rate."""
    batch, least = recipe.batch, max(LEAST_BATCH, recipe.accumulate)
    while batch // 2 >= least and batch * 8 > count:
        batch //= 2
    batch = max(1, min(batch, count))
    if recipe.optimizer != "sgd" or rate_is_given:
        return recipe.edit(batch=batch)
    return recipe.edit(batch=batch, learning_rate=recipe.learning_rate * batch / recipe.batch)


def _possible_precision(wanted: Wanted, device: str) -> str:
    """bf16 where the processor multiplies in it; elsewhere it is slower than fp32."""
    if wanted.precision != "auto":
        check_precision(wanted.precision, device)
        return wanted.precision
    return "bf16" if multiplies_bf16(device) else "fp32"


def _half_the_processors() -> int:
    """Leave the other half of the processors to the network."""
    return max(1, min(8, processors() // 2))
