"""Fields of a description that have a meaning only beside others: None elsewhere, usual if nobody says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from residua.errors import UserError


@dataclass(frozen=True)
class Condition:
    """When a field has a meaning, how that is said, and its usual value then."""

    holds: Callable[[Any], bool]
    needs: str
    usual: Any


Conditions = Mapping[str, Condition]  # in an order in which each depends only on earlier ones


def settle(described: Any, conditions: Conditions) -> None:
    """Give fields that have a meaning here their usual value, and reject a value of one that has none."""
    for name, condition in conditions.items():
        value = getattr(described, name)
        if not condition.holds(described):
            if value is not None:
                raise UserError(f"{name}={value!r} has no meaning here: it needs {condition.needs}.")
        elif value is None:
            object.__setattr__(described, name, condition.usual)


def edited(values: Mapping[str, Any], changes: Mapping[str, Any], conditions: Conditions) -> dict[str, Any]:
    """Return values with changes, and forget what these take the meaning from unless they ask for it."""
    draft = SimpleNamespace(**{**values, **changes})
    for name, condition in conditions.items():
        if condition.holds(draft):
            if name in changes and changes[name] is None:
                raise UserError(f"{name}=None is not valid: {name} has a meaning here, so it needs a value.")
            if getattr(draft, name) is None:
                setattr(draft, name, condition.usual)
        elif name not in changes:
            setattr(draft, name, None)
    return vars(draft)
