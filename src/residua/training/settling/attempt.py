"""One small update before a training begins, so that what cannot work is said before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from residua.data.dataset import Data
from residua.errors import UserError
from residua.nets.network import Network, Vgg
from residua.training.pictures.loaders import Loaders
from residua.training.settings import Settings
from residua.training.updating.freezing import prepare
from residua.training.updating.schedule import size_at
from residua.training.updating.state import State
from residua.training.updating.update import DivergedError, Updater


def attempt(settings: Settings, data: Data, make_network: Callable[[Settings], Network | Vgg]) -> None:
    """Fail where no update can be made: with as few pictures as a part has, at the smallest size."""
    recipe = settings.recipe
    part = recipe.batch // recipe.accumulate
    few = recipe.edit(batch=min(2, part), accumulate=1, sizes=(min(recipe.sizes),))
    small = replace(settings, recipe=few, compiled=False, workers=0, packed=None)
    _check_padding(small)
    network = make_network(small)
    prepare(network, few, few.freeze)
    with closing(Loaders(data, small).training(0).epoch(0)) as batches:
        batch = next(batches, None)
    try:
        if batch is not None:
            Updater(State(network, few), small)(batch, few.freeze)
    except DivergedError:
        pass  # a training knows what to do then
    except (ValueError, RuntimeError) as error:
        reason, _, _ = str(error).strip().partition("\n")
        if part == 1 and "more than 1 value per channel" in reason:
            raise UserError(
                f"batch={recipe.batch} and accumulate={recipe.accumulate} leave one picture to a part, which "
                "the network cannot normalize: choose a larger batch, fewer parts, or model.norm=group."
            ) from None
        raise UserError(f"no update can be made with these settings: {reason}") from error


def _check_padding(settings: Settings) -> None:
    taken, size = settings.recipe.augmentation, settings.preprocessing.size
    side = size_at(settings.recipe, 0, 1, size)
    if taken.padding == "reflect" and taken.crop_padding >= side:
        raise UserError(
            f"augmentation.crop_padding={taken.crop_padding} is not valid: pictures of {side} pixels can be "
            f"padded by {side - 1} of their own, or by any number with augmentation.padding=mean."
        )
