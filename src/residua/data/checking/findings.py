"""What there is to look at in checked data, worst first, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from residua.data.checking.overview import Overview, Twins
from residua.data.dataset import Places, Skipped
from residua.data.facts import TRAITS
from residua.data.sources.listing import HIDDEN, NO_PICTURE

SHOWN = 48  # of a kind; the JSON has all
UNEVEN = 20  # times as many pictures in the largest class as in the smallest
TINY = 8  # times smaller than the middle of all
SERIOUS_TRAITS = ("animated", "wrong extension")

CLEAN, LOOK, UNUSABLE = 0, 1, 2


@dataclass(frozen=True)
class Item:
    """One thing: pictures that belong together, or something that is no picture, and a remark."""

    places: tuple[int, ...]
    note: str


@dataclass(frozen=True)
class Finding:
    """Things of one kind: how many there are, the first of them, and what Residua does or the user can do."""

    title: str
    count: int
    remedy: str
    items: tuple[Item, ...]
    serious: bool = True


def findings(found: Overview) -> list[Finding]:
    """Return everything that there is to say; the notes, which ask for nothing, come last."""
    every = [
        _bad(found),
        *_twins(found),
        *_missing(found),
        _small_classes(found),
        _divided_groups(found),
        _uneven(found),
        *_traits(found),
        _tiny(found),
        *_skipped(found),
    ]
    return sorted((finding for finding in every if finding.count), key=lambda finding: not finding.serious)


def exit_code(found: Overview) -> int:
    """0: clean. 1: something to look at. 2: the data cannot be used."""
    if found.unusable:
        return UNUSABLE
    return LOOK if any(finding.serious for finding in findings(found)) else CLEAN


def _finding(title: str, items: Iterable[Item], count: int, remedy: str, serious: bool = True) -> Finding:
    return Finding(title, count, remedy, tuple(islice(items, SHOWN)), serious)


def _bad(found: Overview) -> Finding:
    reasons = found.checked.reasons
    items = (Item((place,), reason) for place, reason in reasons.items())
    remedy = "Training leaves them out and lists them in bad_images.csv."
    return _finding("Unreadable pictures", items, len(reasons), remedy)


def _twins(found: Overview) -> Iterator[Finding]:
    """Every group once, under the worst that is true of it."""
    mixed = [twins for twins in found.twins if twins.across_classes]
    leaked = [twins for twins in found.twins if twins.across_parts and not twins.across_classes]
    plain = [twins for twins in found.twins if not twins.across_parts and not twins.across_classes]
    remedy = "One of the labels is wrong: delete or move a copy."
    yield _same("Same picture in several classes", mixed, remedy)
    remedy = "They make the accuracy look better than it is: delete the copies in one part."
    yield _same("Same picture in several parts", leaked, remedy)
    remedy = "They count more than once, in one part only: delete the copies if that is not wanted."
    yield _same("Same picture several times", plain, remedy)


def _same(title: str, groups: list[Twins], remedy: str) -> Finding:
    items = (Item(tuple(twins.places.tolist()), "") for twins in groups)
    return _finding(title, items, len(groups), remedy)


def _missing(found: Overview) -> Iterator[Finding]:
    """Classes absent from a part, but for those too small to be in two, which are named anyway."""
    small = {found.data.classes[place] for place in np.flatnonzero(found.class_sizes < 2)}
    for part, classes in found.missing_classes.items():
        names = [name for name in classes if name not in small]
        remedy = "The classes keep their numbers; nothing can be said of these on this part."
        if part == "train":
            remedy = "They cannot be learnt: add pictures of them, or remove them."
        yield _finding(f"Classes without a picture in {part}", _named(names), len(names), remedy)


def _small_classes(found: Overview) -> Finding:
    small = np.flatnonzero(found.class_sizes < 2).tolist()
    names = [found.data.classes[place] for place in small]
    remedy = "They cannot be both learnt and judged: add pictures, or remove the class."
    return _finding("Classes with fewer than 2 good pictures", _named(names), len(names), remedy)


def _divided_groups(found: Overview) -> Finding:
    groups = found.divided_groups
    remedy = "They make the accuracy look better than it is: keep a group in one part."
    return _finding("Groups in several parts", _named(groups), len(groups), remedy)


def _uneven(found: Overview) -> Finding:
    ratio, sizes = found.imbalance or 0, found.class_sizes
    ends = [int(sizes.argmax()), int(sizes.argmin())] if ratio > UNEVEN else []
    items = (Item((), f"{found.data.classes[place]}: {sizes[place]:,}") for place in ends)
    remedy = "A network may never name the smallest: weigh the classes, or add pictures."
    return _finding(f"Uneven classes, {ratio:,.0f} to 1", items, len(ends), remedy)


def _traits(found: Overview) -> Iterator[Finding]:
    for trait, what_is_done in TRAITS.items():
        places = found.checked.having(trait)
        remedy = f"{what_is_done[0].upper()}{what_is_done[1:]}."
        title = "CMYK" if trait == "cmyk" else trait.capitalize()
        yield _finding(title, _single(places), len(places), remedy, trait in SERIOUS_TRAITS)


def _tiny(found: Overview) -> Finding:
    good, records = found.checked.good, found.checked.records
    sides = np.minimum(records["width"], records["height"])[good]
    places = good[sides * TINY < np.median(sides)] if len(good) else good
    notes = (
        Item((place,), f"{records['width'][place]} x {records['height'][place]} pixels")
        for place in places.tolist()
    )
    remedy = "They are enlarged like all others, and blurred by it."
    return _finding("Much smaller than the others", notes, len(places), remedy, serious=False)


def _skipped(found: Overview) -> Iterator[Finding]:
    harmless = {HIDDEN, NO_PICTURE}
    entries = found.data.skipped
    notes = [entry for entry in entries if entry.reason in harmless]
    others = [entry for entry in entries if entry.reason not in harmless]
    remedy = "They are no part of the data: move them if they should be."
    yield _finding("Left aside", _remarked(others), len(others), remedy)
    yield _finding("Hidden, or no pictures", _remarked(notes), len(notes), "They are left aside.", False)


def _remarked(entries: Iterable[Skipped]) -> Iterator[Item]:
    return (Item((), f"{entry.path}: {entry.reason}") for entry in entries)


def _named(names: Iterable[str]) -> Iterator[Item]:
    return (Item((), name) for name in names)


def _single(places: Places) -> Iterator[Item]:
    return (Item((place,), "") for place in places.tolist())


def verdict(found: Overview) -> str:
    """Say in one sentence what all of it comes to."""
    if found.unusable:
        return found.unusable
    kinds = sum(finding.serious for finding in findings(found))
    if not kinds:
        return "Clean: nothing to look at."
    things = "one kind of thing" if kinds == 1 else f"{kinds} kinds of things"
    return f"Usable, with {things} to look at."


def in_short(found: Overview) -> dict[str, Any]:
    """Return how much of everything there is, without naming pictures, as a run keeps it in data.json."""
    every = findings(found)
    return {
        "data": found.data.where,
        "kind": found.data.kind,
        "images": len(found.data),
        "splits": found.splits,
        "split_made": found.split_made,
        "sizes": found.sizes,
        "findings": [
            {"title": each.title, "count": each.count, "remedy": each.remedy, "serious": each.serious}
            for each in every
        ],
    }
