"""Whoever looks on at a training: a terminal, a log, nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from residua.judging.runfiles import BEST, LAST, METRICS, REPORT
from residua.text import visible

if TYPE_CHECKING:
    from residua.nets.network import Network, Vgg
    from residua.training.settings import Settings

Choices = Sequence[tuple[str, str]]  # what was chosen, and how


class Watch:
    """Hears of everything and does nothing: override what you want to hear of."""

    def checked(self, done: int, total: int) -> None:
        """Hear how many pictures have been looked at."""

    def chose(self, choices: Choices) -> None:
        """Hear of all that was chosen, before the training."""

    def began(self, settings: Settings, step: int) -> None:
        """Hear that updates begin, from a step on."""

    def stepped(self, step: int, loss: float, pictures: int) -> None:
        """Hear of an update."""

    def left_out(self, step: int) -> None:
        """Hear of an update that was not made, as its loss was no number."""

    def noted(self, line: dict[str, Any]) -> None:
        """Hear of a line of the metrics."""

    def passed(self, line: dict[str, Any]) -> None:
        """Hear of a pass over the pictures, as it stands in the metrics."""

    def judged(self, network: Network | Vgg, line: dict[str, Any]) -> None:
        """See the network after a pass, ready to predict: leave it, and the random state, as they are."""

    def say(self, sentence: str) -> None:
        """Hear of anything else."""


class Several(Watch):
    """Hands everything on to several watchers."""

    def __init__(self, *watches: Watch) -> None:
        for name in vars(Watch):
            if not name.startswith("_"):
                setattr(self, name, _to_all([getattr(watch, name) for watch in watches]))


def _to_all(heard: list[Callable[..., None]]) -> Callable[..., None]:
    def tell(*what: object) -> None:
        for each in heard:
            each(*what)

    return tell


def in_words(line: dict[str, Any], epochs: int) -> str:
    """Say a pass in one line."""
    parts = [
        f"epoch {line['epoch']}/{epochs}",
        f"step {line['step']:,}",
        f"loss {line['train_loss']:.3f}",
        f"val loss {line['val_loss']:.3f}",
        f"accuracy {line['val_top1']:.2f}%",
    ]
    if line["images_per_second"] > 0:  # what is no number is not
        parts.append(f"{line['images_per_second']:,.0f} images/s")
    return "  ".join(parts)


def in_lines(choices: Choices) -> str:
    """Say choices as a block of lines, aligned."""
    width = max(len(name) for name, _ in choices)
    return "\n".join(f"{name:<{width}}  {visible(text)}" for name, text in choices)


def outcome(folder: Path, summary: dict[str, Any]) -> str:
    """Say what a training came to, and where it is."""
    page, best = folder / REPORT, folder / BEST
    shown = f", {page} shows how it came to be" if page.exists() else ""
    where = best if best.exists() else folder / LAST
    return f"{_worth(summary)}: {where} is the model{shown}.{_left_out(summary)}"


def _left_out(summary: dict[str, Any]) -> str:
    skipped, steps = summary["skipped"], summary["steps"]
    if not skipped:
        return ""
    hardly = ", so it is hardly trained: a smaller learning rate may help" if 2 * skipped >= steps else ""
    return f" {skipped:,} of {steps:,} updates were left out{hardly}."


def _worth(summary: dict[str, Any]) -> str:
    accuracy = summary["best_scores"]["val_top1"]
    if summary["best"] is None:
        return f"No pass had a {summary['metric']} that is a number, so none is the best"
    if accuracy is None:
        return f"The best {summary['metric']} was {summary['best']:.4g}, whose line in {METRICS} is lost"
    return f"{accuracy:.2f}% of {summary['val']:,} held-out pictures are recognised"
