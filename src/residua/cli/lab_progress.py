"""A sweep as one sees it in a terminal: a bar with the time left, and a line for each training."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from residua.lab.course import Course
from residua.lab.sweep import Onlooker
from residua.lab.trials import Trial
from residua.text import visible_lines


@contextlib.contextmanager
def watching() -> Iterator[Onlooker]:
    """Give an onlooker that writes to standard error: live in a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        yield Plain()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[about]}"))
    with Progress(*columns, console=Console(stderr=True, highlight=False), transient=True) as bar:
        yield Live(bar)


class Plain(Onlooker):
    """Writes lines."""

    def write(self, text: str) -> None:
        """Write lines that stay."""
        print(visible_lines(text), file=sys.stderr, flush=True)

    def began(self, course: Course, finished: int) -> None:
        """Write what there is to do."""
        before = f", {finished} were finished before" if finished else ""
        self.write(f"{course.total} trainings to do{before}")

    def ended(self, course: Course, trial: Trial, reason: str | None) -> None:
        """Write a line for a trial."""
        self.write(f"{course.done}/{course.total}  {reason or trial.name}{in_words(course.left)}")

    def say(self, sentence: str) -> None:
        """Write a sentence."""
        self.write(sentence)


class Live(Plain):
    """Shows a bar below the lines."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar
        self.task = bar.add_task("trainings", total=1.0, about="")

    def write(self, text: str) -> None:
        """Write lines that stay above the bar."""
        self.bar.console.print(visible_lines(text), markup=False, highlight=False, soft_wrap=True)

    def moved(self, course: Course) -> None:
        """Move the bar."""
        about = f"{course.done}/{course.total}{in_words(course.left)}"
        self.bar.update(self.task, completed=course.share, about=about)

    def ended(self, course: Course, trial: Trial, reason: str | None) -> None:
        """Write a line and move the bar."""
        super().ended(course, trial, reason)
        self.moved(course)


def in_words(seconds: float | None) -> str:
    """Say how much time is left."""
    if seconds is None:
        return ""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"  {minutes // 60} h {minutes % 60:02} min left"
    return f"  {minutes} min left" if minutes else f"  {round(seconds)} s left"
