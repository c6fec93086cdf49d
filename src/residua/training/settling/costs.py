"""What the parts of a training cost in seconds, reckoned from a few that were measured."""

from __future__ import annotations

from dataclasses import replace

from residua.data.ahead import processors
from residua.judging import SHOWN
from residua.nets.plan import plan
from residua.training.settings import Settings
from residua.training.settling.stopwatch import Stopwatch

ENDING = 2.0  # seconds in which a page and a card are written
EXPLAINED = 6  # times as long as to judge a picture takes it to show where the network looked in it
DISK = 2e8  # bytes a second in which networks are saved, at least


def variants(settings: Settings) -> int:
    """How often a network is compiled: for each size of pictures, and for frozen layers."""
    recipe = settings.recipe
    return len(set(recipe.sizes)) + (recipe.freeze > 0)


def effort(settings: Settings) -> float:
    """What an update costs in the mean, where one at the full size is 1."""
    sizes = settings.recipe.sizes
    return sum(size**2 for size in sizes) / len(sizes)


def waiting(settings: Settings, watch: Stopwatch) -> float:
    """Return what reading adds to an update."""
    batch = settings.recipe.batch
    return batch * reading(settings, watch, watch.update(settings).each / batch)


def reading(settings: Settings, watch: Stopwatch, computing: float) -> float:
    """Return what reading a picture adds to computing it: the processors' time, where both are theirs."""
    alone = watch.reading(settings)
    if watch.in_memory() or not settings.workers:
        return alone
    if settings.device == "cpu":
        return alone / processors()
    return max(0.0, alone / settings.workers - computing)


def judged(settings: Settings, watch: Stopwatch) -> float:
    """Return the seconds in which all held-out pictures are judged once."""
    computing = watch.judging(settings)
    return watch.held_out() * (computing + reading(settings, watch, computing))


def saved(settings: Settings) -> float:
    """Return the seconds in which a pass is saved: the network twice, and what the optimizer remembers."""
    return 12 * plan(settings.spec).parameters / DISK


def ending(settings: Settings, watch: Stopwatch) -> float:
    """Return the seconds from the last pass to the end: judged once more, exactly, and shown on a page."""
    exact = replace(settings, precision="fp32")
    shown = 2 * min(SHOWN, watch.held_out()) if settings.report else 0
    each = EXPLAINED * watch.judging(exact) + watch.reading(settings)
    return ENDING + judged(exact, watch) + shown * each
