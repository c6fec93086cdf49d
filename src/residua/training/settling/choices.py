"""All that was chosen for a training, in words, before it begins."""

from __future__ import annotations

from collections.abc import Sequence

from residua.data.augmentation.description import SMALL
from residua.data.checking.overview import Overview
from residua.nets.plan import plan
from residua.nets.spec import AnySpec
from residua.nets.zoo import spec as named_spec
from residua.nets.zoo import title
from residua.training.asking.wanted import Wanted
from residua.training.recipes import recipe as named_recipe
from residua.training.settings import Settings
from residua.training.settling.beginnings import Beginning
from residua.training.settling.choosing import suited
from residua.training.telling.watching import Choices


def choices(
    wanted: Wanted, settings: Settings, found: Overview, beginning: Beginning, measured: Sequence[str]
) -> Choices:
    """Return what was chosen and how, a line each."""
    rows = [
        ("data", _data(settings, found)),
        ("split", _split(settings, found)),
        ("bad", _bad(found)),
        ("model", _model(wanted, settings)),
        ("weights", beginning.said),
        ("input", _input(settings)),
        ("recipe", _recipe(wanted, settings)),
        *_suited(settings, found.gray),
        *_fewer(wanted, settings),
        ("length", _length(settings)),
        ("computing", _computing(settings)),
    ]
    return [*rows, *(("measured", sentence) for sentence in measured)]


def _data(settings: Settings, found: Overview) -> str:
    classes = found.data.classes
    names = ", ".join(classes[:5]) + (", ..." if len(classes) > 5 else "")
    kind = ", gray" if found.gray else ""
    return f"{settings.data}: {len(found.data):,} pictures{kind}, {len(classes)} classes ({names})"


def _split(settings: Settings, found: Overview) -> str:
    counts = dict(found.splits)
    if settings.limit:
        counts["train"] = min(counts["train"], settings.limit)
    parts = ", ".join(f"{count:,} {part}" for part, count in counts.items())
    made = f"made here: {settings.val:.0%} of each class, seed {settings.picture_seed}"
    return f"{parts} ({made if found.split_made else 'the data has its own'})"


def _bad(found: Overview) -> str:
    count = len(found.checked.reasons)
    return f"{count:,} unreadable left out, bad_images.csv names them" if count else "none"


def called(spec: AnySpec) -> str:
    """Name a network, without what the data decides."""
    if not spec.name:
        return title(spec)
    usual = named_spec(spec.name)
    fields = {name: getattr(usual, name) for name in ("num_classes", "in_channels", "input_size")}
    return title(spec.edit(**fields))


def _model(wanted: Wanted, settings: Settings) -> str:
    why = ""
    if not wanted.model and settings.weights in ("none", "imagenet"):
        photos = f"photos on {'a CPU' if settings.device == 'cpu' else 'a GPU'}"
        why = f", chosen for {'small pictures' if settings.preprocessing.size <= SMALL else photos}"
    return f"{called(settings.spec)}, {plan(settings.spec).parameters:,} parameters{why}"


def _input(settings: Settings) -> str:
    rule = settings.preprocessing
    return f"{rule.size}x{rule.size} pixels, {rule.channels}, by the rule {rule.rule}"


def _recipe(wanted: Wanted, settings: Settings) -> str:
    recipe, start = settings.recipe, "from scratch" if settings.weights == "none" else "from weights"
    why = "" if wanted.recipe else f", chosen for a start {start}"
    update = f"{recipe.optimizer} at a rate of up to {recipe.learning_rate:g}, {recipe.schedule} schedule"
    return f"{recipe.name}{why}: {update}, best by {recipe.metric}"


def _suited(settings: Settings, gray: bool) -> Choices:
    """Say where the recipe's augmentation was fitted to the pictures."""
    size, taken = settings.preprocessing.size, settings.recipe.augmentation
    own = named_recipe(settings.recipe.name, size=size).augmentation
    said = []
    if taken == suited(own, size, gray):
        if taken.flip != own.flip:
            said.append("no flips, as gray pictures may be writing (--set augmentation.flip=random for some)")
        if taken.crop_padding != own.crop_padding:
            said.append(f"crops padded by {taken.crop_padding}, not {own.crop_padding}: pictures are tiny")
    return [("fitted", "; ".join(said))] if said else []


def _fewer(wanted: Wanted, settings: Settings) -> Choices:
    """Say where few pictures or passes, or another optimizer, made something else of the recipe."""
    recipe, said = settings.recipe, []
    own = named_recipe(recipe.name, size=settings.preprocessing.size)
    if wanted.batch is None and recipe.batch < own.batch:
        and_rate = ", and its rate in proportion" if recipe.optimizer == "sgd" else ""
        and_rate = "" if "learning_rate" in wanted.changes else and_rate
        said.append(("batch", f"{recipe.batch}, not {own.batch}, as the pictures are few{and_rate}"))
    if recipe.optimizer != own.optimizer and "learning_rate" not in wanted.changes:
        said.append(("rate", f"{recipe.learning_rate:g}, as is usual for {recipe.optimizer}"))
    if recipe.freeze >= settings.epochs:
        said.append(("frozen", "all but the classifier, to the end"))
    elif "freeze" not in wanted.changes and recipe.freeze < own.freeze:
        many = f"{recipe.freeze or 'no'} passes, not {own.freeze}"
        said.append(("frozen", f"{many}, as there are {settings.epochs} in all"))
    return said


def _length(settings: Settings) -> str:
    each = f"{settings.epoch_steps:,} updates with batches of {settings.recipe.batch}"
    return f"{settings.epochs:,} passes of {each}: {settings.steps:,} in all, seed {settings.seed}"


def _computing(settings: Settings) -> str:
    s = settings
    readers = f"{s.workers} more that read" if s.workers else "no other that reads"
    threads = f"{s.threads} thread{'s' * (s.threads > 1)}, {readers}"
    parts = [s.device, s.precision, threads]
    named = {"compiled": s.compiled, "checkpointing": s.checkpointing, "deterministic": s.deterministic}
    return ", ".join([*parts, *(name for name, on in named.items() if on)])
