"""The log: what a watcher hears of, written into the run's folder too."""

from __future__ import annotations

from typing import Any

from residua.training.run import Run
from residua.training.settings import Settings
from residua.training.watching import Choices, Watch, in_lines, in_words


class Logged(Watch):
    """Writes everything into the log, but for single updates, and hands it on."""

    def __init__(self, run: Run, watch: Watch) -> None:
        self.run, self.watch = run, watch
        self.epochs = 0

    def chose(self, choices: Choices) -> None:
        """Hear of all that was chosen."""
        self.run.log(in_lines(choices))
        self.watch.chose(choices)

    def began(self, settings: Settings, step: int) -> None:
        """Hear that updates begin."""
        self.epochs = settings.epochs
        self.watch.began(settings, step)

    def stepped(self, step: int, loss: float, pictures: int) -> None:
        """Hear of an update."""
        self.watch.stepped(step, loss, pictures)

    def passed(self, line: dict[str, Any]) -> None:
        """Hear of a pass over the pictures."""
        self.run.log(in_words(line, self.epochs))
        self.watch.passed(line)

    def say(self, sentence: str) -> None:
        """Hear of anything else."""
        self.run.log(sentence)
        self.watch.say(sentence)
