"""The three scales: how much of an experiment is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from residua.errors import UserError, unknown
from residua.nets.values import at_least, check_fields, checked, within
from residua.training.asking.changes import Changes

MOST_SEEDS = 1000
Depths = Mapping[str, tuple[int, ...]]


def mapping(what: str, given: Any) -> Mapping[str, Any]:
    """Return what was given if it holds values by name."""
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise UserError(f"{what} is not valid: write a line `name: value` for each.")
    return given


def known(what: str, given: Any, kind: type) -> dict[str, Any]:
    """Return what was given if every name is a field of a dataclass; others fail with the nearest."""
    names = [f.name for f in fields(kind)]
    for name in mapping(what, given):
        if name not in names:
            raise unknown(what, name, names)
    return dict(given)


def settings_in_words(settings: Mapping[str, Any]) -> str:
    """Write settings of a training as people read them."""
    return " ".join(f"{name}={value}" for name, value in settings.items())


def _depths(given: Any) -> Depths:
    named = given if isinstance(given, Mapping) else {"depth": given}
    listed = {name: value if isinstance(value, (list, tuple)) else [value] for name, value in named.items()}
    return {str(name): checked("depths", value, tuple[int, ...]) for name, value in listed.items()}


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much of an experiment is run: depths, data, length and repetitions."""

    data: str | None = None  # None: the user names it
    recipe: str | None = None  # None: the fast one, long enough for the pictures
    epochs: int | None = None  # None: the recipe's
    limit: int | None = None  # pictures to train on
    val: float = 0.1  # share of each class that is held out, where the data holds nothing out itself
    seeds: int = 3
    depths: Depths = field(default_factory=dict)  # what stands for {depth} and the like in networks
    without: tuple[str, ...] = ()  # labels of networks that are left out
    changes: Mapping[str, Any] = field(default_factory=dict)  # of the recipe

    def __post_init__(self) -> None:
        """Check the plain values; a bare list of depths is that of {depth}."""
        check_fields(self, "depths", "changes")
        object.__setattr__(self, "depths", _depths(self.depths))
        for name in ("epochs", "limit"):
            at_least(name, getattr(self, name), 1)
        within("seeds", self.seeds, 1, MOST_SEEDS, closed=True)
        within("val", self.val, 0, 1)
        Changes.sorted(mapping("changes", self.changes))

    @property
    def ends(self) -> tuple[int, int]:
        """The least and the greatest {depth}; 0 without any."""
        depths = self.depths.get("depth") or (0,)
        return min(depths), max(depths)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of a training by name, as far as they are set; a network may have others of its own."""
        named = {name: getattr(self, name) for name in ("recipe", "epochs", "limit", "val")}
        return {name: value for name, value in {**named, **self.changes}.items() if value is not None}

    def edit(self, /, **changes: Any) -> Self:
        """Return a copy with some fields changed; an unknown field fails with the nearest."""
        return replace(self, **known("field of a scale", changes, Scale))


# The recipe of the first paper in a few passes: its rate rises and falls once. Faster recipes change what an
# update is, and with it what is to be compared.
SHORT = {"schedule": "linear", "warmup": 0.25}
SCALES: Mapping[str, Scale] = {
    "quick": Scale(data="digits", recipe="paper", epochs=4, seeds=3, changes={**SHORT, "batch": 64}),
    "small": Scale(recipe="paper", epochs=8, seeds=3, changes=SHORT),
    "paper": Scale(recipe="paper", seeds=5),
}
