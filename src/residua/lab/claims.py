"""What the papers say, as data: numbers, orders and bounds, each with its place."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any, Self

from residua.errors import UserError, unknown
from residua.nets.values import check_fields

COUNTED = ("parameters", "multiply_adds", "depth", "unit_weights")  # what is the same in every training
ERRORS = ("error", "train_error")  # what is always measured
LONGEST = 30  # signs of a number that people print
QUANTITIES: Mapping[str, tuple[str, ...]] = {  # and by measurement
    "responses": ("deviation",),
    "gradients": tuple(
        f"{stage}_{name}"
        for stage in ("initial", "final")
        for name in ("ratio", "near_zero", "least", "direct", "predicted")
    ),
    "lesions": (
        "one_removed",
        "worst_removed",
        "one_lost",
        "dotted_removed",
        "dotted_more",
        "all_removed",
        "rise",
        "swaps_rise",
    ),
    "paths": ("effective_low", "effective_high", "effective_share", "gradient_length", "decay"),
    "statistics": (
        "running",
        "batch",
        "exact",
        "momentum_0.1",
        "momentum_0.01",
        "batch_more",
        "running_more",
        "momentum_more",
    ),
}

Labels = tuple[Set[str], tuple[int, int]]  # of a scale's networks, and its least and greatest {depth}


def filled(text: str, depths: Mapping[str, int]) -> str:
    """Put depths in the place of their names in braces, which say nothing of how wide they are written."""
    if any(layout or conversion for _, _, layout, conversion in Formatter().parse(text)):
        raise ValueError(text)
    return text.format_map(depths)


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
    page: int | None = None  # where it stands, if that is known
    quantity: str = "error"
    of: str | None = None
    over: str | None = None  # the quantity is then `of`'s divided by that of this one
    number: str | None = None  # as it is printed
    spread: float = 0.0  # the paper's own, around its number
    allowed: float = 0.0  # what is taken for it where the paper states none
    above: float | None = None
    below: float | None = None
    less: str | None = None
    than: str | None = None
    cost: float | None = None  # the share by which the multiply-adds of an order's networks may differ
    classes: int = 10  # of the data that it is about
    everywhere: bool = True  # whether it is about other data and shorter trainings too; an order always is
    trained: bool = True  # False: no experiment trains what it is about, and it is only told
    elsewhere: str | None = None  # how it is retold wrongly
    ours: bool = False  # whether its bound, or all of it, is the lab's own and no paper's
    beside: str | None = None  # why its number is never judged, and only stands beside what was measured

    def __post_init__(self) -> None:
        """Check the values, and that they make one kind of claim."""
        check_fields(self)
        self.labels(0, 0)
        if wrong := self._wrong():
            raise UserError(f"claim {self.id!r} {wrong}.")

    def _wrong(self) -> str | None:
        """Say what keeps it from being one claim."""
        number, order = self.number is not None, self.less is not None
        if number:
            self.printed  # noqa: B018 - fails if it is no number
        if order != (self.than is not None):
            return "is half an order: say both `less` and `than`"
        if number + self.bounded + order > 1:
            return "is several at once: a number, a bound, or an order"
        if order and self.less == self.than:
            return f"compares {self.less!r} with itself: name another network in `less` or `than`"
        if (number or self.bounded) and self.of is None:
            return "does not say of which network: write a line `of: LABEL`"
        if self.over and not (number or self.bounded):
            return "has `over` without a number: write a line `number`, `above` or `below`"
        if self.of and not (number or self.bounded):
            return "has `of` and nothing to judge it by: write a line `number`, `above` or `below`"
        if self.above is not None and self.below is not None and self.above >= self.below:
            return f"is above {self.above:g} and below {self.below:g} at once: swap them"
        return None

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
        if type(number := values.get("number")) in (int, float):  # as YAML reads it without quotes
            values["number"] = f"{number:.12g}"
        if missing := [name for name in ("id", "says") if name not in values]:
            raise UserError(
                f"a claim of {experiment!r} has no {missing[0]}: write a line `{missing[0]}: ...`."
            )
        return cls(**values)

    def labels(self, shallow: int, deep: int) -> dict[str, str]:
        """Return the labels that it names, by field, with these depths for {shallow} and {deep}."""
        depths = {"shallow": shallow, "deep": deep}
        named = {"of": self.of, "over": self.over, "less": self.less, "than": self.than}
        try:
            return {name: filled(label, depths) for name, label in named.items() if label}
        except (KeyError, ValueError, IndexError, AttributeError, TypeError):
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
    def in_points(self) -> bool:
        """Whether its quantity is an error in percent."""
        return self.quantity in ERRORS

    @property
    def printed(self) -> tuple[float, float]:
        """Return the number, and the worth of its last printed digit.

        >>> Claim(id="", experiment="", says="", of="x", number="0.27M").printed
        (270000.0, 10000.0)
        """
        found = re.fullmatch(
            r"(-?\d+)(?:\.(\d+))?(?:e(-?\d\d?)|([kMG%]))?", (self.number or "").replace(",", "")
        )
        if not found or len(found[0]) > LONGEST:
            raise UserError(
                f"number={self.number!r:.60} of claim {self.id!r} is not valid: write it as 6.61 or 0.27M."
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
    return tuple(Claim.read({"everywhere": False, **row}, "") for row in rows)


def about(experiment: str) -> tuple[Claim, ...]:
    """Return the claims that an experiment is about."""
    return tuple(claim for claim in published() if claim.experiment == experiment)


def check_claims(claims: Sequence[Claim], measurements: Sequence[str], scales: Sequence[Labels]) -> None:
    """Fail for claims that an experiment with these measurements and labels could never judge."""
    seen: set[str] = set()
    known = sorted({label for labels, _ in scales for label in labels})
    for claim in claims:
        if claim.id in seen:
            raise UserError(f"two claims are called {claim.id!r}: give each an id of its own.")
        seen.add(claim.id)
        _check_quantity(claim, measurements)
        filled = [(labels, claim.labels(*depths)) for labels, depths in scales]
        for name in claim.labels(0, 0) if claim.trained else ():
            if not any(label[name] in labels for labels, label in filled):
                raise unknown(f"network in claim {claim.id!r}", filled[0][1][name], known)


def _check_quantity(claim: Claim, measurements: Sequence[str]) -> None:
    every = {f"{name}.{quantity}": name for name, quantities in QUANTITIES.items() for quantity in quantities}
    if claim.quantity in (*COUNTED, *ERRORS):
        return
    if claim.quantity not in every:
        raise unknown(f"quantity in claim {claim.id!r}", claim.quantity, [*COUNTED, *ERRORS, *every])
    if (measurement := every[claim.quantity]) not in measurements:
        raise UserError(
            f"claim {claim.id!r} is about {claim.quantity}, which is not measured: write a line "
            f"`measurements: [{', '.join([*measurements, measurement])}]`."
        )
