"""Weights: the model file, and other libraries' weights in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from residua.weights.convert import read as read


def __getattr__(name: str) -> Any:
    if name != "read":
        raise AttributeError(f"module 'residua.weights' has no attribute {name!r}")
    from residua.weights.convert import read

    return read
