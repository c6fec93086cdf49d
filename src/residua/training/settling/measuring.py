"""What this machine decides: precision, batch, compiling, reading, packing, and how much fits into a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from residua.data.ahead import processors
from residua.errors import UserError
from residua.training.recipes import Recipe
from residua.training.settings import Settings
from residua.training.settling import costs
from residua.training.settling.choosing import thawed
from residua.training.settling.stopwatch import CompileError, Stopwatch
from residua.training.updating.update import TooLargeError

SHORTEST = 600  # seconds of training below which compiling is not tried
CLEARLY = 1.1  # by how much fp32 must be faster than bf16, as a busy machine's times vary
GROWTH = 1.05  # what a batch of twice the size must win in pictures a second
SMALLEST, LARGEST = 8, 1024  # batches that are tried
FEWEST = 8  # updates in a pass
STEEPEST = 2  # times the recipe's own rate, from which on SGD's does not follow a larger batch
WORTH = 0.02  # share of the training that reading must take before packing is looked at
LITTLE = 0.05  # share of an update that reading must take before a thread is taken from computing for it
SPARE = 0.03  # share of a given time that is kept for what nobody foresaw


@dataclass(frozen=True, kw_only=True)
class Unsettled:
    """What nobody asked for by name, so that it may be measured, and the time that there is."""

    precision: bool = True
    batch: bool = False
    compiled: bool = True
    workers: bool = True
    packed: bool = True
    named: frozenset[str] = frozenset()  # settings that were given by name
    minutes: float | None = None


Decided = tuple[Settings, str | None]


def measured(settings: Settings, unsettled: Unsettled, watch: Stopwatch) -> tuple[Settings, list[str]]:
    """Settle what only measuring can, and say why; a deterministic training is left as it is."""
    if settings.deterministic:
        return settings, []
    sentences = []
    deciding = (_faster_precision, _fastest_batch, _compiled, _enough_workers, _packed, _length)
    for decide in deciding:
        settings, sentence = decide(settings, unsettled, watch)
        if sentence:
            sentences.append(sentence)
    return settings, sentences


def _faster_precision(settings: Settings, unsettled: Unsettled, watch: Stopwatch) -> Decided:
    """Take bf16 only where it is faster, which it is not in small networks or on processors without it.

    A part of the batch tells, which needs no more memory in fp32 than the whole of it in bf16.
    """
    if not unsettled.precision or settings.precision == "fp32":
        return settings, None
    recipe = settings.recipe
    few = min(recipe.batch, max(2 * recipe.accumulate, recipe.batch // 4))
    part = replace(settings, recipe=recipe.edit(batch=few))
    single = replace(part, precision="fp32")
    short, long = (watch.update(each).each for each in (part, single))
    said = f"{{}}: an update of {few} takes {{}}, in {{}} {{}}."
    if short < CLEARLY * long:
        return settings, said.format("bf16", _time(short), "fp32", _time(long))
    return replace(settings, precision="fp32"), said.format("fp32", _time(long), "bf16", _time(short))


def _fastest_batch(settings: Settings, unsettled: Unsettled, watch: Stopwatch) -> Decided:
    """Double the batch as long as it fits and pays."""
    if not unsettled.batch:
        return settings, None
    usual, named = settings.recipe, unsettled.named
    best = _with_batch(settings, min(usual.batch, max(SMALLEST, 2 * usual.accumulate)), named, watch)
    rate = _rate(best, watch)
    why = "the largest that is tried"
    while 2 * best.recipe.batch <= LARGEST:
        larger = _with_batch(settings, 2 * best.recipe.batch, named, watch)
        faster, why = _tried(larger, watch, GROWTH * rate)
        if faster is None:
            break
        best, rate = larger, faster
    recipe = best.recipe
    said = f"Batch {recipe.batch}, {why}: {rate:.3g} images/s"
    if "learning_rate" in named:
        return best, f"{said}."
    return best, f"{said}; the learning rate goes with it: {recipe.learning_rate:.3g}."


def _tried(settings: Settings, watch: Stopwatch, least: float) -> tuple[float | None, str]:
    """Return the pictures a second with a batch, or why it is not taken."""
    if settings.epoch_steps < FEWEST:
        return None, "as a larger one leaves too few updates in a pass"
    room = "as a larger one needs too much memory"
    if not watch.fits(settings):
        return None, room
    try:
        rate = _rate(settings, watch)
    except TooLargeError:
        return None, room
    return (rate, "the largest that is tried") if rate >= least else (None, "as a larger one wins little")


def _rate(settings: Settings, watch: Stopwatch) -> float:
    return settings.recipe.batch / watch.update(settings).each


def _with_batch(settings: Settings, batch: int, named: frozenset[str], watch: Stopwatch) -> Settings:
    """Change the batch, and with it the rates, and the updates so that the passes stay the same.

    What was given by name stays.
    """
    old, ratio = settings.recipe, batch / settings.recipe.batch
    factor = _steepness(old, ratio)
    changes = {"learning_rate": old.learning_rate * factor}
    if old.vector_rate:
        changes["vector_rate"] = old.vector_rate * factor
    if old.steps:
        changes["steps"] = max(1, round(settings.steps / ratio))
    recipe = old.edit(batch=batch, **{name: changes[name] for name in changes.keys() - named})
    epoch_steps = max(1, watch.epoch_steps(replace(settings, recipe=recipe)))
    steps = recipe.steps or (recipe.epochs or 1) * epoch_steps
    return replace(settings, recipe=recipe, steps=steps, epoch_steps=epoch_steps)


def _steepness(recipe: Recipe, ratio: float) -> float:
    """Return how many times the rate is, where the batch is `ratio` times as large."""
    return min(ratio, STEEPEST) if recipe.optimizer == "sgd" else math.sqrt(ratio)


def _compiled(settings: Settings, unsettled: Unsettled, watch: Stopwatch) -> Decided:
    """Compile where the training wins more time than compiling takes."""
    if not unsettled.compiled:
        return settings, None
    if settings.checkpointing:
        return settings, "Not compiled: that takes memory, which checkpointing is to save."
    eager = watch.update(settings).each
    length = _seconds(settings, unsettled, watch)
    if length < SHORTEST:
        return settings, f"Not compiled: that is not tried for less than {_time(SHORTEST)} of training."
    try:
        compiled = watch.update(replace(settings, compiled=True))
    except CompileError as error:
        return settings, f"Not compiled: it does not work here ({error.reason})."
    except TooLargeError:
        return settings, "Not compiled: there is not memory enough for it."
    saved, cost = length * (1 - compiled.each / eager), compiled.first * costs.variants(settings)
    figures = f"an update takes {_time(compiled.each)} instead of {_time(eager)}, compiling {_time(cost)}."
    if saved > cost:
        return replace(settings, compiled=True), f"Compiled: {figures}"
    return settings, f"Not compiled: {figures}"


def _seconds(settings: Settings, unsettled: Unsettled, watch: Stopwatch) -> float:
    """Return how long the training takes, about."""
    if unsettled.minutes:
        return 60 * unsettled.minutes
    return settings.steps * watch.update(settings).each * costs.effort(settings)


def _enough_workers(settings: Settings, unsettled: Unsettled, watch: Stopwatch) -> Decided:
    """Let so many threads read that judging, which takes a third of an update, need not wait either.

    Where all processors compute, those that read hold them up, so little is read by who computes.
    """
    if not unsettled.workers or watch.in_memory():
        return settings, None
    share = watch.reading(settings) * settings.recipe.batch / watch.update(settings).each
    if share < LITTLE and settings.device == "cpu" and settings.threads >= processors():
        return replace(settings, workers=0), None
    return replace(settings, workers=max(1, min(processors(), math.ceil(3 * share)))), None


def _packed(settings: Settings, unsettled: Unsettled, watch: Stopwatch) -> Decided:
    """Pack the pictures beside the run if that fits, and reading takes time that is worth winning."""
    if not unsettled.packed or watch.in_memory():
        return settings, None
    update, waiting = watch.update(settings).each, costs.waiting(settings, watch)
    if waiting < WORTH * update:
        return settings, None
    steps = settings.steps
    if unsettled.minutes:
        steps = int(60 * unsettled.minutes / (update * costs.effort(settings) + waiting))
    verdict = watch.packing(settings, -(-steps // settings.epoch_steps))
    packed = settings.preprocessing.resize if verdict.pack else None
    return replace(settings, packed=packed), verdict.sentence


def _length(settings: Settings, unsettled: Unsettled, watch: Stopwatch) -> Decided:
    """Make the training end when the time that there is does."""
    if unsettled.minutes is None:
        return settings, None
    update, waiting = watch.update(settings), costs.waiting(settings, watch)
    after = costs.judged(settings, watch) + costs.saved(settings)
    needed = costs.ending(settings, watch)
    if settings.compiled:
        needed += update.first * costs.variants(settings)
    if settings.packed:  # every picture is read once, and then no more
        needed, waiting = needed + waiting * settings.epoch_steps, 0.0
    left = 60 * unsettled.minutes * (1 - SPARE) - watch.elapsed() - needed
    steps = _steps(left, update.usual * costs.effort(settings) + waiting, after, settings.epoch_steps)
    if steps < 1:
        raise UserError(
            f"not one update fits into {unsettled.minutes:g} minutes: give more time, or a smaller network."
        )
    said = f"{steps:,} updates, {steps / settings.epoch_steps:.3g} passes over the pictures"
    settings = replace(settings, steps=steps, recipe=settings.recipe.edit(steps=steps))
    if "freeze" not in unsettled.named:
        settings = thawed(settings)
    return settings, f"{unsettled.minutes:g} minutes: {said}."


def _steps(left: float, update: float, after: float, epoch_steps: int) -> int:
    """Count the updates that fit; after each pass, and each part of one, some time goes by."""
    whole = int(max(0.0, left) // (epoch_steps * update + after))
    rest = left - whole * (epoch_steps * update + after) - after
    return whole * epoch_steps + max(0, int(rest / update))


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:.3g} minutes"
