"""From the pictures and what was asked for to settings: what nobody chose is chosen here, and said."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch

from residua.data.augmentation import usual
from residua.data.augmentation.description import SMALL
from residua.data.dataset import Data
from residua.errors import UserError
from residua.nets.spec import AnySpec
from residua.nets.zoo import spec as named_spec
from residua.training.loaders import training_places
from residua.training.recipe import Recipe
from residua.training.recipes import recipe as named_recipe
from residua.training.settings import Settings
from residua.weights.metadata import Preprocessing

PHOTO = 224
LEAST_STEPS = 400  # updates below which a training is lengthened, if nobody said how long
IMAGENET = Preprocessing()


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for; None is left to Residua."""

    data: str
    root: str | None = None
    model: str | None = None
    recipe: str | None = None
    size: int | None = None
    epochs: int | None = None
    batch: int | None = None
    weights: str | None = None
    seed: int = 0
    val: float = 0.1
    max_bad: float = 0.1
    limit: int | None = None
    device: str = "auto"
    precision: str = "auto"
    workers: int | None = None
    checkpointing: bool = False
    deterministic: bool = False
    on_nan: Literal["stop", "skip"] = "stop"
    changes: Mapping[str, Any] = field(default_factory=dict)  # of the recipe's fields


@dataclass(frozen=True)
class Pictures:
    """What the choices look at."""

    data: Data  # split, without bad ones
    side: int  # the middle of the shorter sides
    gray: bool


def choose(wanted: Wanted, pictures: Pictures, weights: str = "none") -> Settings:
    """Settle everything that needs no measuring; `weights` is what could be had."""
    size = wanted.size or _size(pictures.side)
    chosen = _spec(wanted, pictures, size)
    places = training_places(pictures.data, wanted.seed, wanted.limit)
    recipe = _recipe(wanted, pictures, chosen, size, len(places), weights)
    epoch_steps = len(places) // recipe.batch
    return Settings(
        data=wanted.data,
        root=wanted.root,
        val=wanted.val,
        max_bad=wanted.max_bad,
        limit=wanted.limit,
        spec=chosen,
        weights=weights,
        preprocessing=_preprocessing(size, chosen.in_channels),
        recipe=recipe,
        seed=wanted.seed,
        steps=recipe.steps or (recipe.epochs or 1) * epoch_steps,
        epoch_steps=epoch_steps,
        device=_device(wanted.device),
        precision=_precision(wanted.precision, _device(wanted.device)),
        checkpointing=wanted.checkpointing,
        threads=torch.get_num_threads(),
        workers=_workers() if wanted.workers is None else wanted.workers,
        deterministic=wanted.deterministic,
        on_nan=wanted.on_nan,
    )


def _size(side: int) -> int:
    """Small pictures as they are, photos at the usual size or, if they are smaller, at their own."""
    if side <= SMALL:
        return max(side, 8)
    return min(PHOTO, round(side / 32) * 32)


def model_name(wanted: Wanted, pictures: Pictures) -> str:
    """Return the network to train."""
    if wanted.model:
        return wanted.model
    if (wanted.size or pictures.side) <= SMALL:
        return "cifar_resnet20"
    return "resnet50" if _device(wanted.device) != "cpu" else "resnet18"


def _spec(wanted: Wanted, pictures: Pictures, size: int) -> AnySpec:
    channels = 1 if pictures.gray else 3
    name = model_name(wanted, pictures)
    return named_spec(name, num_classes=len(pictures.data.classes), in_channels=channels, input_size=size)


def _recipe(
    wanted: Wanted, pictures: Pictures, chosen: AnySpec, size: int, count: int, weights: str
) -> Recipe:
    name = wanted.recipe or ("finetune" if weights != "none" else "fast")
    found = named_recipe(name, size=size, depth=_depth(chosen))
    if wanted.recipe is None:
        found = found.edit(augmentation=usual(size, pictures.gray))
    changes = dict(wanted.changes)
    if wanted.batch:
        changes["batch"] = wanted.batch
    if wanted.epochs:
        changes["epochs"] = wanted.epochs
    found = found.edit(**changes)
    if "batch" not in changes:
        found = found.edit(batch=_batch(found.batch, count))
    if count < found.batch:
        raise UserError(
            f"{wanted.data!r} has {count} training pictures, fewer than a batch of {found.batch}: choose a "
            "smaller batch."
        )
    if wanted.recipe is None and found.epochs and "epochs" not in changes:
        found = found.edit(epochs=max(found.epochs, -(-LEAST_STEPS // (count // found.batch))))
    return found


def _batch(usual_batch: int, count: int) -> int:
    """Take the recipe's batch, or a smaller one where a pass would have fewer than eight."""
    batch = usual_batch
    while batch > 8 and batch * 8 > count:
        batch //= 2
    return max(1, min(batch, count))


def _preprocessing(size: int, channels: int) -> Preprocessing:
    resize = size if size <= SMALL else size * 8 // 7
    if channels == 1:
        return replace(IMAGENET, size=size, resize=resize, channels="gray", mean=(0.5,), std=(0.25,))
    return replace(IMAGENET, size=size, resize=resize)


def _device(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def _precision(wanted: str, device: str) -> Literal["fp32", "bf16"]:
    """bf16 where the processor multiplies in it; elsewhere it is slower than fp32."""
    if wanted in ("fp32", "bf16"):
        return wanted  # type: ignore[return-value]
    if wanted != "auto":
        raise UserError(f"precision={wanted!r} is not valid: it is auto, fp32 or bf16.")
    able = torch.cuda.is_bf16_supported() if device == "cuda" else torch.cpu._is_avx512_bf16_supported()
    return "bf16" if able else "fp32"


def _workers() -> int:
    return max(1, min(8, (os.cpu_count() or 1) // 2))


def _depth(chosen: AnySpec) -> int:
    from residua.nets.plan import plan

    return plan(chosen, chosen.input_size).depth
