"""Checks of single values, each failing with one sentence that names the field and what is valid."""

from __future__ import annotations

import contextlib
import math
import operator
import os
import types
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from residua.errors import UserError


def checked(name: str, value: Any, hint: Any) -> Any:
    """Return the value in the field's own type; ints pass for floats and lists for tuples."""
    choices = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    for choice in choices:
        fitting = _fitted(value, choice)
        if fitting is not _MISFIT:
            return fitting
    raise UserError(f"{name}={_shown(value)} is not valid: valid {_described(choices)}.")


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."


_HINTS: dict[Any, dict[str, Any]] = {}


def hints(kind: Any) -> dict[str, Any]:
    """Return the types of a dataclass's fields: worked out once, for that is slow."""
    if kind not in _HINTS:
        _HINTS[kind] = get_type_hints(kind)
    return _HINTS[kind]


def check_fields(described: Any, *others: str) -> None:
    """Put each value of a frozen dataclass into its field's own type, or fail; but for these others."""
    for f in fields(described):
        if f.name not in others:
            value = checked(f.name, getattr(described, f.name), hints(type(described))[f.name])
            object.__setattr__(described, f.name, value)


_MISFIT = object()
LARGEST = 2**31


def _fitted(value: Any, hint: Any) -> Any:
    if get_origin(hint) is Literal:
        fits = isinstance(value, str) and value in get_args(hint)
        return value if fits else _MISFIT
    if get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)):
            return _MISFIT
        items = tuple(_fitted(item, get_args(hint)[0]) for item in value)
        return _MISFIT if _MISFIT in items else items
    if hint is int:
        return int(value) if _is_int(value) else _MISFIT
    if hint is float:
        fits = _is_int(value) or (isinstance(value, float) and math.isfinite(value))
        return float(value) if fits else _MISFIT
    return value if isinstance(value, hint) else _MISFIT


def _is_int(value: Any) -> bool:
    """Whether it is a whole number of a size that a network can have; numpy's count too."""
    try:
        return not isinstance(value, bool) and abs(operator.index(value)) < LARGEST
    except TypeError:
        return False


def _described(choices: tuple[Any, ...]) -> str:
    words = [literal for choice in choices if get_origin(choice) is Literal for literal in get_args(choice)]
    kinds: dict[Any, str] = {os.PathLike: "a path", Mapping: "a mapping", str: "text"}
    kinds |= {int: f"a whole number below {LARGEST}", float: "a number", bool: "True or False"}
    words = [repr(word) for word in words] + [kinds[choice] for choice in choices if choice in kinds]
    lists = {int: "whole numbers, one for each stage", float: "numbers", str: "texts"}
    words += [f"a list of {lists[get_args(choice)[0]]}" for choice in choices if get_origin(choice) is tuple]
    return f"{'are' if len(words) > 1 else 'is'} {listed(words)}"


def listed(words: list[Any]) -> str:
    """Join alternatives: "a, b or c"."""
    *most, last = map(str, words)
    return f"{', '.join(most)} or {last}" if most else last


def at_least(name: str, value: float | None, least: float) -> None:
    """Fail below a bound."""
    if value is not None and value < least:
        raise UserError(f"{name}={value!r} is not valid: it must be at least {least}.")


def within(name: str, value: float | None, low: float, high: float, closed: bool = False) -> None:
    """Fail outside an interval that holds its upper end only if it is closed."""
    if value is not None and not (low <= value < high or (closed and value == high)):
        end = "to" if closed else "to below"
        raise UserError(f"{name}={value!r} is not valid: it must lie in {low} {end} {high}.")


def from_text(name: str, text: str, hint: Any) -> Any:
    """Read a field's value as typed on a command line ("4", "0.5", "true", "3,4,6,3", "none", a word)."""
    choices = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    readings: list[Any] = [text]
    for read in (int, float, _boolean, _numbers):
        with contextlib.suppress(ValueError):
            readings.append(read(text))
    if type(None) in choices and text.lower() == "none":
        readings.append(None)
    for reading in readings:
        for choice in choices:
            if _fitted(reading, choice) is not _MISFIT:
                return reading
    return checked(name, text, hint)


def _boolean(text: str) -> bool:
    words = {"true": True, "yes": True, "false": False, "no": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


def _numbers(text: str) -> tuple[float, ...]:
    numbers = text.strip("()[]").rstrip(",").split(",")
    try:
        return tuple(map(int, numbers))
    except ValueError:
        return tuple(map(float, numbers))
