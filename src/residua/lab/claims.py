"""What the papers say, as data: numbers, orders and bounds, each with its place."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any, Self, get_type_hints

from residua.errors import UserError, unknown
from residua.nets.values import checked

COUNTED = ("parameters", "multiply_adds", "depth", "unit_weights")  # what is the same in every training


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One sentence of a paper that an experiment can bear out, or not.

    It is a number (`of` has so much of a `quantity`), an order (`less` has less of it than `than`), a bound
    (`of` has it `above` or `below`), or, with none of these, a remark. Labels may say {shallow} and {deep}
    for the least and greatest {depth} of the scale.
    """

    id: str
    experiment: str
    says: str  # in words
    source: str = ""  # the paper
    place: str = ""  # the table or figure in it
    quantity: str = "error"
    of: str | None = None
    over: str | None = None  # the quantity is then `of`'s divided by that of this one
    number: str | None = None  # as it is printed
    spread: float = 0.0  # the paper's own, around its number
    above: float | None = None
    below: float | None = None
    less: str | None = None
    than: str | None = None
    classes: int = 10  # of the data that it is about
    everywhere: bool = False  # whether it is about other data and shorter trainings too; an order always is
    elsewhere: str | None = None  # how it is retold wrongly

    def __post_init__(self) -> None:
        """Check the values, and that they make one kind of claim."""
        hints = get_type_hints(Claim)
        for f in fields(self):
            object.__setattr__(self, f.name, checked(f.name, getattr(self, f.name), hints[f.name]))
        if self.number is not None:
            self.printed  # noqa: B018 - fails if it is no number
        if (self.less is None) != (self.than is None):
            raise UserError(f"claim {self.id!r} is half an order: say both `less` and `than`.")
        self.labels(0, 0)
        kinds = [self.number is not None, self.bounded, self.less is not None]
        if sum(kinds) > 1:
            raise UserError(f"claim {self.id!r} is several at once: a number, a bound, or an order.")
        if any(kinds[:2]) and self.of is None:
            raise UserError(f"claim {self.id!r} does not say of which network: write a line `of: LABEL`.")

    @classmethod
    def read(cls, given: Any, experiment: str) -> Self:
        """Read a claim from plain data; an unknown name fails with the nearest."""
        if isinstance(given, cls):
            return given
        names = [f.name for f in fields(cls)]
        if not isinstance(given, Mapping):
            raise UserError(f"{given!r} is no claim: write a line `name: value` for each thing it says.")
        for name in given:
            if name not in names:
                raise unknown("field of a claim", str(name), names)
        values = {"experiment": experiment, **given}
        if missing := [name for name in ("id", "says") if name not in values]:
            raise UserError(
                f"a claim of {experiment!r} has no {missing[0]}: write a line `{missing[0]}: ...`."
            )
        return cls(**values)

    def labels(self, shallow: int, deep: int) -> tuple[str | None, ...]:
        """Return the labels `of`, `over`, `less` and `than`, with these depths for {shallow} and {deep}."""
        depths = {"shallow": shallow, "deep": deep}
        try:
            named = (self.of, self.over, self.less, self.than)
            return tuple(label.format_map(depths) if label else None for label in named)
        except (KeyError, ValueError, IndexError, AttributeError):
            raise UserError(
                f"claim {self.id!r} has other braces than {{shallow}} and {{deep}}: name the network."
            ) from None

    @property
    def bounded(self) -> bool:
        """Whether it is a bound."""
        return self.above is not None or self.below is not None

    @property
    def exact(self) -> bool:
        """Whether it is about something that no training changes."""
        return self.quantity in COUNTED

    @property
    def printed(self) -> tuple[float, float]:
        """Return the number, and the worth of its last printed digit.

        >>> Claim(id="", experiment="", says="", of="x", number="0.27M").printed
        (270000.0, 10000.0)
        """
        found = re.fullmatch(
            r"(-?\d+)(?:\.(\d+))?(?:e(-?\d+)|([kMG%]))?", (self.number or "").replace(",", "")
        )
        if not found:
            raise UserError(
                f"number={self.number!r} of claim {self.id!r} is not valid: write it as 6.61 or 0.27M."
            )
        whole, fraction, power, unit = found.groups(default="")
        exponent = int(power or 0) + {"k": 3, "M": 6, "G": 9}.get(unit, 0)
        worth = math.pow(10, exponent - len(fraction))
        return float(f"{whole}.{fraction or 0}e{exponent}"), worth


@cache
def published() -> tuple[Claim, ...]:
    """Return every claim that comes with Residua, in the papers' order."""
    import yaml

    rows = yaml.safe_load(files("residua.lab").joinpath("claims.yaml").read_text(encoding="utf-8"))
    claims = tuple(Claim.read(row, "") for row in rows)
    if len({claim.id for claim in claims}) < len(claims):
        raise AssertionError("two claims have one id")
    return claims


def about(experiment: str) -> tuple[Claim, ...]:
    """Return the claims that an experiment is about."""
    return tuple(claim for claim in published() if claim.experiment == experiment)
