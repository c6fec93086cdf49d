"""The log: what there is to hear of a training, written into the run's folder."""

from __future__ import annotations

from typing import Any

from residua.training.keeping.run import Run
from residua.training.settings import Settings
from residua.training.telling.watching import Choices, Watch, in_lines, in_words


class Log(Watch):
    """Writes everything but single updates."""

    def __init__(self, run: Run) -> None:
        self.run, self.epochs = run, 0

    def chose(self, choices: Choices) -> None:
        """Write what was chosen."""
        self.run.log(in_lines(choices))

    def began(self, settings: Settings, step: int) -> None:  # noqa: ARG002 - as a watcher has it
        """Hear that updates begin."""
        self.epochs = settings.epochs

    def passed(self, line: dict[str, Any]) -> None:
        """Write a line for a pass."""
        self.run.log(in_words(line, self.epochs))

    def say(self, sentence: str) -> None:
        """Write a sentence."""
        self.run.log(sentence)
