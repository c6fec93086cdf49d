"""What a user asks of a training, before anything is known of the pictures. It needs no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_type_hints

from residua.errors import UserError
from residua.nets.values import at_least, checked, from_text, within

PARTS = {"recipe": "", "spec": "model.", "model": "model.", "augmentation": "augmentation."}
PARTS["preprocessing"] = "preprocessing."
FOLLOWS = {"steps", "epoch_steps", "model.family"}  # what a run's own config says, and the data decides
FOLLOWS |= {f"model.{name}" for name in ("num_classes", "in_channels", "input_size")}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for; None is left to Residua."""

    data: str
    root: str | None = None
    model: str | None = None
    recipe: str | None = None
    size: int | None = None
    epochs: int | None = None
    time: float | None = None  # minutes
    batch: int | Literal["auto"] | None = None  # auto: the fastest, by measurement
    weights: str | None = None
    seed: int = 0
    split_seed: int | None = None  # of the draw of the held-out pictures; None: the seed
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

    def __post_init__(self) -> None:
        """Check the plain values."""
        for name, hint in hints().items():
            object.__setattr__(self, name, checked(name, getattr(self, name), hint))
        for name in ("size", "epochs", "limit"):
            at_least(name, getattr(self, name), 1)
        at_least("workers", self.workers, 0)
        if isinstance(self.batch, int):
            at_least("batch", self.batch, 1)
        within("val", self.val, 0, 1)
        within("max_bad", self.max_bad, 0, 1, closed=True)
        if self.time is not None and not self.time > 0:
            raise UserError(f"time={self.time:g} is not valid: it must be above 0 minutes.")
        if self.time and self.epochs:
            raise UserError("epochs and time are two lengths of one training: choose one.")

    @property
    def name(self) -> str:
        """What a run is called where nobody said: after its data."""
        stem = Path(self.data).resolve().stem
        return re.sub(r"[^A-Za-z0-9_.+-]", "-", stem).strip(".+-")[:80] or "data"


@cache
def hints() -> dict[str, Any]:
    """Types of what can be asked for by name."""
    found = get_type_hints(Wanted)
    return {f.name: found[f.name] for f in fields(Wanted) if f.name != "changes"}


def wanted(data: str | None, *sources: Mapping[str, Any]) -> Wanted:
    """Gather what was asked for; a later source goes before an earlier one.

    Names that a training itself does not have are changes of its recipe, or of what they begin with.
    """
    values: dict[str, Any] = {}
    for source in sources:
        values |= dict(_flat(source))
    if data is not None:
        values["data"] = data
    if values.get("data") is None:
        raise UserError("which data? name a folder of class folders, a CSV, or digits.")
    own = {name: _read(name, values.pop(name)) for name in list(values) if name in hints()}
    return Wanted(**own, changes=values)


def _flat(source: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Spell every setting in one way: nested ones, as in a run's own config, with dots."""
    for name, value in source.items():
        if name in PARTS and isinstance(value, Mapping):
            for part, each in value.items():
                nested = f"{PARTS[name]}{part}"
                if isinstance(each, Mapping):
                    yield from _flat({nested: each})
                elif nested in ("name", "model.name"):
                    yield (name if nested == "name" else "model"), each or None
                elif nested not in FOLLOWS or name == "recipe":
                    yield nested, each
        elif name not in FOLLOWS:
            yield name, value


def _read(name: str, value: Any) -> Any:
    return from_text(name, value, hints()[name]) if isinstance(value, str) else value


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
