"""What came of the injections of one fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class WrongError(Exception):
    """Something that must not be."""


def must(holds: bool, otherwise: str) -> None:
    """Let an injection fail unless something holds."""
    if not holds:
        raise WrongError(otherwise)


@dataclass
class Outcome:
    """One fault, how often it was injected, how often all was well, and what was seen."""

    fault: str
    injected: str
    tried: int = 0
    passed: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Count an injection; what is wrong is noted, and the campaign goes on."""
        self.tried += 1
        try:
            yield
        except WrongError as wrong:
            self.seen[f"WRONG: {wrong}"] += 1
        else:
            self.passed += 1

    def saw(self, what: str) -> None:
        """Note something."""
        self.seen[what] += 1

    def left_out(self, lacking: str) -> Outcome:
        """Say what this machine lacks to inject it."""
        self.saw(f"LEFT OUT: {lacking}")
        return self

    def to_dict(self) -> dict[str, object]:
        """Return plain data."""
        return {
            "fault": self.fault,
            "injected": self.injected,
            "tried": self.tried,
            "passed": self.passed,
            "seen": dict(self.seen),
        }
