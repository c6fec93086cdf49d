"""The command line as tests call it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str


class Command(Protocol):
    """`residua`, or one command of it: takes words, and runs to its end."""

    def __call__(self, *words: str | Path) -> Done: ...
