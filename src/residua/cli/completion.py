"""What a shell completes behind an option or instead of an argument."""

from __future__ import annotations

from collections.abc import Callable

from residua.nets.zoo import NAMES


def one_of(*words: str) -> Callable[[str], list[str]]:
    """Return what completes one of some words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


networks = one_of(*NAMES)


def experiments(incomplete: str) -> list[str]:
    """Complete an experiment that comes with Residua."""
    from residua.lab import catalogue  # only then, for it loads more

    return one_of(*catalogue.NAMES)(incomplete)
