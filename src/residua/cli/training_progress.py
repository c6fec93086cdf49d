"""A training as one sees it in a terminal: what was chosen, a line a pass, and a bar that moves meanwhile."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from residua.text import visible_lines
from residua.training.telling.watching import Choices, Watch, in_lines, in_words

if TYPE_CHECKING:
    from residua.training.settings import Settings


@contextlib.contextmanager
def watching() -> Iterator[Watch]:
    """Give a watcher that writes to standard error: live in a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        yield Plain()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[about]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True, highlight=False), transient=True) as bar:
        yield Live(bar)


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w")


class Plain(Watch):
    """Writes lines."""

    epochs = 0

    def write(self, text: str) -> None:
        """Write lines that stay; a training does not end because nobody listens any more."""
        try:
            print(visible_lines(text), file=sys.stderr, flush=True)
        except (OSError, ValueError):
            sys.stderr = _nowhere()

    def chose(self, choices: Choices) -> None:
        """Write what was chosen."""
        self.write(f"{in_lines(choices)}\n")

    def began(self, settings: Settings, step: int) -> None:  # noqa: ARG002 - as a watcher has it
        """Hear that updates begin."""
        self.epochs = settings.epochs

    def passed(self, line: dict[str, Any]) -> None:
        """Write a line for a pass."""
        self.write(in_words(line, self.epochs))

    def say(self, sentence: str) -> None:
        """Write a sentence."""
        self.write(sentence)


class Live(Plain):
    """Shows a bar below the lines."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar
        self.task = bar.add_task("looking at the pictures", total=None, about="")
        self.accuracy = ""
        self.loss: float | None = None
        self.epoch_steps = 1

    def write(self, text: str) -> None:
        """Write lines that stay above the bar."""
        try:
            self.bar.console.print(visible_lines(text), markup=False, highlight=False, soft_wrap=True)
        except (OSError, ValueError, SystemExit):  # the last is rich's for a pipe that was closed
            self.bar.console.file = _nowhere()

    def checked(self, done: int, total: int) -> None:
        """Move the bar by pictures."""
        self.bar.update(self.task, completed=done, total=total)

    def chose(self, choices: Choices) -> None:
        """Write what was chosen."""
        super().chose(choices)
        self.bar.update(self.task, description="getting ready", total=None)

    def began(self, settings: Settings, step: int) -> None:
        """Begin a bar of updates."""
        super().began(settings, step)
        self.epoch_steps = settings.epoch_steps
        self.bar.remove_task(self.task)
        self.task = self.bar.add_task("training", total=settings.steps, completed=step, about="")

    def stepped(self, step: int, loss: float, pictures: int) -> None:
        """Move the bar by an update."""
        self.loss = loss if self.loss is None else 0.9 * self.loss + 0.1 * loss
        speed = self.bar.tasks[0].speed
        rate = f"  {speed * pictures:,.0f} images/s" if speed else ""
        about = f"loss {self.loss:.3f}{self.accuracy}{rate}"
        passes = f"epoch {(step - 1) // self.epoch_steps + 1}/{self.epochs}"
        self.bar.update(self.task, description=passes, completed=step, about=about)

    def left_out(self, step: int) -> None:
        """Move the bar by an update that was not made."""
        self.bar.update(self.task, completed=step)

    def passed(self, line: dict[str, Any]) -> None:
        """Write a line for a pass, and keep its accuracy in sight."""
        super().passed(line)
        self.accuracy = f"  accuracy {line['val_top1']:.2f}%"
