"""What this machine decides: precision, batch, compiling, reading, packing, and how much fits into a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from residua.data.ahead import processors
from residua.errors import UserError
from residua.training.settings import Settings
from residua.training.settling.stopwatch import CompileError, Stopwatch

SHORTEST = 600  # seconds of training below which compiling is not tried
CLEARLY = 1.1  # by how much fp32 must be faster than bf16, as a busy machine's times vary
GROWTH = 1.05  # what a batch of twice the size must win in pictures a second
LARGEST = 1024  # batch that is tried
WORTH = 0.02  # share of the training that reading must take before packing is looked at
SPARE = 0.03  # share of a given time that is kept for what nobody foresaw


@dataclass(frozen=True, kw_only=True)
class Unsettled:
    """What nobody asked for by name, so that it may be measured, and the time that there is."""

    precision: bool = True
    batch: bool = False
    compiled: bool = True
    workers: bool = True
    packed: bool = True
    minutes: float | None = None


Decided = tuple[Settings, str | None]


def measured(settings: Settings, unsettled: Unsettled, watch: Stopwatch) -> tuple[Settings, list[str]]:
    """Settle what only measuring can, and say why; a deterministic training is left as it is."""
    if settings.deterministic:
        if unsettled.minutes:
            raise UserError(
                "how much training fits into a time must be measured, which a deterministic training does "
                "not do: give --epochs instead of --time."
            )
        return settings, []
    sentences = []
    for decide in (_precision, _batch, _compiled, _workers, _packed, _length):
        settings, sentence = decide(settings, unsettled, watch)
        if sentence:
            sentences.append(sentence)
    return settings, sentences


def _precision(settings: Settings, unsettled: Unsettled, watch: Stopwatch) -> Decided:
    """Take bf16 only where it is faster, which it is not in small networks or on processors without it."""
    if not unsettled.precision or settings.precision == "fp32":
        return settings, None
    single = replace(settings, precision="fp32")
    short, long = (watch.update(each).each for each in (settings, single))
    if short < CLEARLY * long:
        return settings, f"bf16: an update takes {_time(short)}, in fp32 {_time(long)}."
    return single, f"fp32: an update takes {_time(long)}, in bf16 {_time(short)}."


def _batch(settings: Settings, unsettled: Unsettled, watch: Stopwatch) -> Decided:
    """Double the batch as long as it fits and pays."""
    if not unsettled.batch:
        return settings, None
    count = settings.epoch_steps * settings.recipe.batch
    best, batch = _with_batch(settings, min(8, count)), 8
    rate = _rate(best, watch)
    while 2 * batch <= min(LARGEST, count // 8):
        batch *= 2
        larger = _with_batch(settings, batch)
        if not watch.fits(larger) or (faster := _rate(larger, watch)) < GROWTH * rate:
            break
        best, rate = larger, faster
    recipe = best.recipe
    return best, (
        f"Batch {recipe.batch}, from which on a larger one wins little: {rate:.3g} images/s; "
        f"the learning rate goes with it: {recipe.learning_rate:.3g}."
    )


def _rate(settings: Settings, watch: Stopwatch) -> float:
    return settings.recipe.batch / watch.update(settings).each


def _with_batch(settings: Settings, batch: int) -> Settings:
    """Change the batch, and with it the rates, and the updates so that the passes stay the same."""
    old, ratio = settings.recipe, batch / settings.recipe.batch
    changes = {"batch": batch, "learning_rate": old.learning_rate * ratio}
    if old.vector_rate:
        changes["vector_rate"] = old.vector_rate * ratio
    epoch_steps = max(1, settings.epoch_steps * old.batch // batch)
    steps = old.epochs * epoch_steps if old.epochs else max(1, round(settings.steps / ratio))
    if old.steps:
        changes["steps"] = steps
    return replace(settings, recipe=old.edit(**changes), steps=steps, epoch_steps=epoch_steps)


def _compiled(settings: Settings, unsettled: Unsettled, watch: Stopwatch) -> Decided:
    """Compile where the training wins more time than compiling takes."""
    if not unsettled.compiled:
        return settings, None
    eager = watch.update(settings).each
    length = _seconds(settings, unsettled, watch)
    if length < SHORTEST:
        return settings, f"Not compiled: that is not tried for less than {_time(SHORTEST)} of training."
    try:
        compiled = watch.update(replace(settings, compiled=True))
    except CompileError as error:
        return settings, f"Not compiled: it does not work here ({error.reason})."
    saved, cost = length * (1 - compiled.each / eager), compiled.first * _variants(settings)
    figures = f"an update takes {_time(compiled.each)} instead of {_time(eager)}, compiling {_time(cost)}."
    if saved > cost:
        return replace(settings, compiled=True), f"Compiled: {figures}"
    return settings, f"Not compiled: {figures}"


def _variants(settings: Settings) -> int:
    """How often a network is compiled: for each size of pictures, and for frozen layers."""
    recipe = settings.recipe
    return len(set(recipe.sizes)) + (recipe.freeze > 0)


def _seconds(settings: Settings, unsettled: Unsettled, watch: Stopwatch) -> float:
    """Return how long the training takes, about."""
    if unsettled.minutes:
        return 60 * unsettled.minutes
    return settings.steps * watch.update(settings).each * _effort(settings)


def _effort(settings: Settings) -> float:
    """What an update costs in the mean, where one at the full size is 1."""
    sizes = settings.recipe.sizes
    return sum(size**2 for size in sizes) / len(sizes)


def _workers(settings: Settings, unsettled: Unsettled, watch: Stopwatch) -> Decided:
    """Let so many threads read that judging, which takes a third of an update, need not wait either."""
    if not unsettled.workers or watch.in_memory():
        return settings, None
    share = 3 * watch.reading(settings) * settings.recipe.batch / watch.update(settings).each
    return replace(settings, workers=max(1, min(processors(), math.ceil(share)))), None


def _packed(settings: Settings, unsettled: Unsettled, watch: Stopwatch) -> Decided:
    """Pack the pictures beside the run if that fits, and reading takes time that is worth winning."""
    if not unsettled.packed or watch.in_memory():
        return settings, None
    update, waiting = watch.update(settings).each, _waiting(settings, watch)
    if waiting < WORTH * update:
        return settings, None
    steps = settings.steps
    if unsettled.minutes:
        steps = int(60 * unsettled.minutes / (update * _effort(settings) + waiting))
    verdict = watch.packing(settings, -(-steps // settings.epoch_steps))
    packed = settings.preprocessing.resize if verdict.pack else None
    return replace(settings, packed=packed), verdict.sentence


def _waiting(settings: Settings, watch: Stopwatch) -> float:
    """Return what reading adds to an update: the processors' time, where they compute the network too."""
    reading = watch.reading(settings) * settings.recipe.batch
    if watch.in_memory():
        return reading
    if settings.device == "cpu":
        return reading / processors()
    return max(0.0, reading / max(1, settings.workers) - watch.update(settings).each)


def _length(settings: Settings, unsettled: Unsettled, watch: Stopwatch) -> Decided:
    """Make the training end when the time that there is does."""
    if unsettled.minutes is None:
        return settings, None
    update = watch.update(settings)
    waiting = _waiting(settings, watch)
    left = 60 * unsettled.minutes * (1 - SPARE) - watch.elapsed()
    if settings.compiled:
        left -= update.first * _variants(settings)
    if settings.packed:  # every picture is read once, and then no more
        left, waiting = left - waiting * settings.epoch_steps, 0.0
    judging = watch.judging(settings) * settings.recipe.batch * _judged(settings)
    steps = int(left / (update.usual * _effort(settings) + waiting + judging))
    if steps < 1:
        raise UserError(
            f"not one update fits into {unsettled.minutes:g} minutes: give more time, or a smaller network."
        )
    said = f"{steps:,} updates, {steps / settings.epoch_steps:.3g} passes over the pictures"
    settings = replace(settings, steps=steps, recipe=settings.recipe.edit(steps=steps))
    return settings, f"{unsettled.minutes:g} minutes: {said}."


def _judged(settings: Settings) -> float:
    """How many pictures are judged for each that is trained on."""
    return settings.val / (1 - settings.val)


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:.3g} minutes"
