"""Gradients noted while a trial is trained, which nobody can measure afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from residua.errors import UserError
from residua.lab.inside.gradients import gradient_norms
from residua.lab.measurements import FOLDER
from residua.lab.pictures import look_at
from residua.lab.trained import some_of
from residua.nets.network import Network, Vgg
from residua.text import finite, is_number, parse_json
from residua.training.settings import Settings
from residua.training.telling.watching import Watch

NOTES = "through_training.jsonl"
Heard = Callable[[int, int], None]  # updates done, updates in all


class Notes(Watch):
    """Takes down the gradient at each unit after each pass, and says how far the training is."""

    def __init__(self, run: Path, where: str, heard: Heard | None) -> None:
        self.run, self.where, self.heard = run, where, heard
        self.settings: Settings
        self.some: tuple[Tensor, Tensor]

    def began(self, settings: Settings, step: int) -> None:
        """Hear that updates begin."""
        self.settings = settings
        self.some = some_of(look_at(self.where).parted(self.run), settings)
        self.stepped(step, 0.0, 0)

    def stepped(self, step: int, loss: float, pictures: int) -> None:  # noqa: ARG002 - as a watcher has it
        """Hear of an update."""
        if self.heard:
            self.heard(step, self.settings.steps)

    def judged(self, network: Network | Vgg, line: dict[str, Any]) -> None:
        """Measure the gradients of a few held-out pictures."""
        note(self.run, line["epoch"], gradient_norms(network, *self.some))


def note(run: Path, epoch: int, norms: Sequence[float]) -> None:
    """Add what was found after a pass: the gradient's norm at each unit, and behind the last."""
    path = run / FOLDER / NOTES
    path.parent.mkdir(exist_ok=True)
    line = {"epoch": epoch, "norms": [float(f"{norm:.6g}") for norm in norms]}
    with path.open("a", encoding="utf-8") as file:  # one that was cut off spoils none behind it
        file.write("\n" + json.dumps(finite(line)))


def is_noted(line: Any) -> bool:
    """Whether it is the note of a pass."""
    norms = line.get("norms") if isinstance(line, dict) else None
    numbers = isinstance(norms, list) and norms != [] and all(map(is_number, norms))
    return numbers and type(line.get("epoch")) is int


def notes_of(run: Path) -> list[dict[str, Any]]:
    """Return what was noted after each pass, with the ratio of the gradient at the first unit to the last."""
    path = run / FOLDER / NOTES
    passes: dict[int, dict[str, Any]] = {}
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            line = parse_json(text)
        except ValueError:  # cut off
            continue
        if not is_noted(line):
            raise UserError(f"{path} has a line that is no note of a pass: it was changed.")
        first, last = line["norms"][0], line["norms"][-1]
        ratio = first / last if first is not None and last else None
        passes[line["epoch"]] = {**line, "ratio": ratio}  # a pass may have been made again
    return [passes[epoch] for epoch in sorted(passes)]
