"""Claims as rows of a table: what the paper says, what was measured, what follows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from residua.lab.claims import COUNTED, ERRORS, Claim
from residua.lab.reporting.amounts import in_words, number
from residua.lab.reporting.records import Record, Values
from residua.lab.verdicts import APART, FAILS, HOLDS, OPEN

KINDS = {HOLDS: "holds", FAILS: "fails", OPEN: "open"}


@dataclass(frozen=True)
class Judged:
    """A claim as a row of a table."""

    says: str
    where: str
    paper: str
    measured: str
    n: int  # seeds; 0 of what is only counted
    verdict: str
    why: str
    kind: str  # of verdict, for its colour
    elsewhere: str | None

    @property
    def looked_at(self) -> bool:
        """Whether anything was measured of it."""
        return self.verdict != APART or bool(self.measured)


def judged(record: Record) -> list[Judged]:
    """Return every claim as a row, those first that are judged."""
    return sorted((_judged(record, row) for row in record.claims), key=lambda row: row.kind == "apart")


def _judged(record: Record, row: Values) -> Judged:
    claim = row["claim"]
    place = " ".join(text for text in (claim.get("source"), claim.get("place")) if text)
    place += f", page {claim['page']}" if claim.get("page") else ""
    place = place or ("no paper's, ours" if claim.get("ours") else "")
    kind = KINDS.get(row["verdict"], "apart")
    word, why = row["verdict"], row["why"]
    if word == APART and row["measured"] is not None:
        word, why = "beside", f"{why}: not to be compared"
    return Judged(
        claim["says"],
        place,
        _paper(claim),
        _measured(record, row),
        0 if claim.get("quantity") in COUNTED else int(row["n"]),
        word,
        why,
        kind,
        claim.get("elsewhere"),
    )


def _paper(claim: Values) -> str:
    unit = "%" if claim.get("quantity") in ERRORS and "over" not in claim else ""
    if "number" in claim:
        spread = f" ± {claim['spread']:g}" if claim.get("spread") else ""
        return f"{claim['number']}{spread}{unit}"
    if "less" in claim:
        return f"{claim['less']} < {claim['than']}" + _of_quantity(claim)
    bounds = [
        f"{sign} {claim[name]:g}{unit}" for name, sign in (("above", ">"), ("below", "<")) if name in claim
    ]
    ours = ", a bound of ours" if claim.get("ours") else ""
    return " and ".join(bounds) + (_of_quantity(claim) + ours if bounds else "")


def _of_quantity(claim: Values) -> str:
    """Say what an order is of, where it is not the error."""
    name = claim.get("quantity", "error")
    return "" if name == "error" else f" ({in_words(name)})"


def _measured(record: Record, row: Values) -> str:
    """Say what was measured: of an order both medians too, behind it the interval."""
    claim, value = row["claim"], row["measured"]
    if value is None:
        return ""
    quantity = claim.get("quantity", "error")
    unit = "%" if quantity in ERRORS and "over" not in claim else ""
    text = number(value, _decimals(claim)) + unit
    if "less" in claim:
        both = [_amount(record, claim[name], quantity) for name in ("less", "than")]
        text = f"{both[0]} and {both[1]}, mean difference {number(value)}"
    if row["interval"]:
        low, high = row["interval"]
        text += f" [{number(low)}, {number(high)}]"
    return text


def _decimals(claim: Values) -> int:
    """Return one digit more than is printed of what is counted: the printed one may be cut off."""
    if "number" not in claim or claim.get("quantity") not in COUNTED:
        return 2
    worth = Claim.read(dict(claim), "").printed[1]
    return max(2, 1 - math.floor(math.log10(worth)))


def _amount(record: Record, label: str, quantity: str) -> str:
    if quantity in COUNTED:
        value: float | None = record.networks.get(label, {}).get(quantity)
    else:
        value = record.middle(label, quantity)
    return "-" if value is None else number(value) + ("%" if quantity in ERRORS else "")
