"""Numbers and the names of quantities as people write them."""

from __future__ import annotations

from residua.lab.claims import ERRORS
from residua.lab.reporting.records import Values

WORDS = {
    "train_error": "training error",
    "multiply_adds": "multiply-adds",
    "unit_weights": "weights of a unit",
}
ROUNDING = 1e-12  # what adding up leaves


def number(value: float, decimals: int = 2) -> str:
    """Write a number with as many digits as are worth reading."""
    if abs(value - round(value)) < ROUNDING:
        return f"{round(value):,}"
    if abs(value) >= 0.1:
        return f"{value:,.{decimals}f}"
    return f"{value:.2g}"


def spread(found: Values | None, quantity: str) -> str:
    """Write a median and the range over the seeds."""
    if not found:
        return "-"
    return f"{middle(found, quantity)} ({reach(found)})" if found["n"] > 1 else middle(found, quantity)


def middle(found: Values, quantity: str) -> str:
    """Write the median over the seeds."""
    return number(found["median"]) + ("%" if quantity in ERRORS else "")


def reach(found: Values) -> str:
    """Write the range over the seeds; nothing for a single one."""
    return f"{number(found['least'])} to {number(found['greatest'])}" if found["n"] > 1 else ""


def in_words(quantity: str) -> str:
    """Write a quantity's name for people."""
    return WORDS.get(quantity, quantity.replace("_", " ").replace(".", ": ", 1))
