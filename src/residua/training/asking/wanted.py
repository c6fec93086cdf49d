"""What a user asks of a training, before anything is known of the pictures. It needs no torch."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from residua.errors import UserError
from residua.nets.values import at_least, check_fields, from_text, hints, within

PARTS = {"recipe": "", "spec": "model.", "model": "model.", "augmentation": "augmentation."}
PARTS["preprocessing"] = "preprocessing."
LENGTHS = ("epochs", "steps", "time")
COUNTED = ("steps", "epoch_steps")  # in a run's own config, where they follow from its recipe and pictures
# What means something else, or nothing, to another optimizer and schedule.
FOLLOWING = {
    "optimizer": {"learning_rate", "vector_rate", "momentum", "nesterov", "weight_decay", "decayed"},
    "schedule": {"milestones", "plateau", "factor"},
}
PICTURED = tuple(f"model.{name}" for name in ("num_classes", "in_channels", "input_size"))
NOT_NAMED = ("changes", "since")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for; None is left to Residua."""

    data: str
    root: str | None = None
    model: str | None = None
    recipe: str | None = None
    size: int | None = None
    epochs: int | None = None
    time: float | None = None  # minutes, from `since` on
    batch: int | Literal["auto"] | None = None  # auto: the fastest, by measurement
    weights: str | None = None
    seed: int = 0
    split_seed: int | None = None  # of which pictures are held out and learned from; None: the seed
    val: float = 0.1
    max_bad: float = 0.1
    limit: int | None = None
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    workers: int | None = None
    checkpointing: bool = False
    deterministic: bool = False
    on_nan: Literal["stop", "skip"] = "stop"
    # Fields of the recipe by their names; others as augmentation.flip, model.shortcut, preprocessing.rule.
    changes: Mapping[str, Any] = field(default_factory=dict)
    since: float = field(default_factory=monotonic, compare=False)  # when it was asked for

    def __post_init__(self) -> None:
        """Check the plain values."""
        check_fields(self, *NOT_NAMED)
        for name in asked_for():
            if getattr(self, name) == "":
                raise UserError(f"{name}='' is not valid: give a value, or leave it out.")
        for name in ("size", "epochs", "limit"):
            at_least(name, getattr(self, name), 1)
        at_least("workers", self.workers, 0)
        if isinstance(self.batch, int):
            at_least("batch", self.batch, 1)
        within("val", self.val, 0, 1)
        within("max_bad", self.max_bad, 0, 1, closed=True)
        if self.time is not None and not self.time > 0:
            raise UserError(f"time={self.time:g} is not valid: it must be above 0 minutes.")
        if self.time is not None and self.deterministic:
            raise UserError(
                "how much training fits into a time must be measured, which a deterministic training does "
                "not do: give --epochs instead of --time."
            )
        for name in PICTURED:
            if name in self.changes:
                raise UserError(f"{name} cannot be set, for the pictures decide it: leave it out.")

    @property
    def picture_seed(self) -> int:
        """The seed of which pictures there are: held out, learned from, and looked at for their colours."""
        return self.seed if self.split_seed is None else self.split_seed

    @property
    def name(self) -> str:
        """What a run is called where nobody said: after its data."""
        stem = Path(self.data).resolve().stem
        return re.sub(r"[^A-Za-z0-9_.+-]", "-", stem).strip(".+-")[:80] or "data"


@cache
def asked_for() -> dict[str, Any]:
    """Types of what can be asked for by name."""
    return {name: hint for name, hint in hints(Wanted).items() if name not in NOT_NAMED}


def wanted(data: str | None, *sources: Mapping[str, Any]) -> Wanted:
    """Gather what was asked for; a later source goes before an earlier one.

    Names that a training itself does not have are changes of its recipe, or of what they begin with.
    """
    values: dict[str, Any] = {}
    described: dict[str, set[str]] = {}  # by what an earlier source describes as a whole
    for source in sources:
        given = dict(_flat(source))
        named = [name for name in described if given.get(name) is not None]
        others = [name for name in named if name not in FOLLOWING or given[name] != values.get(name)]
        gone = {name for whole in others for name in described[whole]}
        lengths = [name for name in LENGTHS if given.get(name) is not None]
        given = {name: value for name, value in given.items() if name not in LENGTHS or name in lengths}
        if len(lengths) > 1:
            raise UserError(f"{' and '.join(lengths)} are two lengths of one training: choose one.")
        gone |= set(LENGTHS if lengths else ())
        values = {name: value for name, value in values.items() if name not in gone} | given
        described |= _described(source)
    if data is not None:
        values["data"] = data
    if values.get("data") is None:
        raise UserError("which data? name a folder of class folders, a CSV, or digits.")
    own = {name: _read(name, values.pop(name)) for name in list(values) if name in asked_for()}
    return Wanted(**own, changes=values)


def _flat(source: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Spell every setting in one way: nested ones, as in a run's own config, with dots."""
    whole = {"spec", *COUNTED} <= source.keys()  # a run's own config
    for name, value in source.items():
        if name in PARTS and isinstance(value, Mapping):
            yield from _part(name, value)
        elif not (whole and name in COUNTED):
            yield name, value


def _described(source: Mapping[str, Any]) -> dict[str, set[str]]:
    """Say which settings go when another network, recipe, size or the like is named: those of the old one."""
    found: dict[str, set[str]] = {"size": {"preprocessing.size", "preprocessing.resize"}}
    flat = dict(_flat(source))
    found |= {name: follow & flat.keys() for name, follow in FOLLOWING.items() if flat.get(name) is not None}
    for part, whole in (("spec", "model"), ("model", "model"), ("recipe", "recipe")):
        if isinstance(source.get(part), Mapping):
            found[whole] = {name for name, _ in _flat({part: source[part]})}
    return found


def _part(whose: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Spell the fields of a part; a network's whole description has some that the pictures decide."""
    for part, value in values.items():
        name = f"{PARTS[whose]}{part}"
        if isinstance(value, Mapping):
            yield from _flat({name: value})
        elif name in ("name", "model.name"):
            yield ("recipe" if whose == "recipe" else "model"), value or None
        elif not (whose == "spec" and (part == "family" or name in PICTURED)):
            yield name, value


def _read(name: str, value: Any) -> Any:
    value = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(value, str):
        return value
    if name == "time" and value.lower() != "none":
        return minutes(value)
    return from_text(name, value, asked_for()[name])


def minutes(text: str) -> float:
    """Read a length of time: "20m", "1.5h", "90s", "1h30m"; a bare number is minutes.

    >>> minutes("1h30m")
    90.0
    """
    units = {"h": 60.0, "m": 1.0, "s": 1 / 60}
    number = r"(\d+(?:\.\d+)?|\.\d+)"
    if re.fullmatch(number, text):
        return float(text)
    if not re.fullmatch(rf"({number}[hms])+", text):
        raise UserError(f"time={text!r} is not valid: write it as 20m, 1.5h or 90s.")
    return sum(float(count) * units[unit] for count, unit in re.findall(rf"{number}([hms])", text))
