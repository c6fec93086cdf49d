"""What an evaluation has found, for people at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from residua.cli.tables import of_numbers
from residua.judging.comparison import INTERVAL, TEST, Comparison
from residua.judging.evaluated import METHODS, Evaluation
from residua.judging.figures.intervals import Interval
from residua.judging.figures.metrics import ClassScores
from residua.judging.figures.mistakes import Mistake
from residua.text import visible

ROWS = 20  # classes in the table
FIRST = 10  # things named of each other kind
WHOLE = "--json has all of them"


def evaluated(found: Evaluation) -> RenderableType:
    """All of it: figures first, then classes, then single pictures."""
    return Group(
        *_heading(found, visible(found.model)),
        _figures([found]),
        *_calibration(found),
        *_classes(found),
        *_confusions(found),
        *_pictures("Worst mistakes", found.mistakes, found.mistake_count),
        *_pictures("Labels that are likely wrong", found.label_errors, found.label_error_count),
        *_bad(found),
    )


def compared(found: Sequence[Evaluation], comparison: Comparison) -> RenderableType:
    """Both models' figures side by side, and whether the difference is real."""
    first, second = found
    return Group(
        *_heading(first, f"{visible(first.model)} (first) and {visible(second.model)} (second)"),
        _figures(found),
        Text(
            f"Both right {comparison.both_right:,}, only the first {comparison.only_first_right:,}, "
            f"only the second {comparison.only_second_right:,}, both wrong {comparison.both_wrong:,}."
        ),
        Text(comparison.sentence, style="bold green" if comparison.is_real else "bold"),
        Text(f"p: {TEST}. {INTERVAL}.", style="dim"),
        *_bad(first),
    )


def _heading(found: Evaluation, models: str) -> Iterator[RenderableType]:
    yield Text(f"{models} on {visible(found.data)}", style="bold")
    which = "pictures, all of them" if found.part == "all" else f"pictures of {found.part}"
    unlisted = f"; {found.unlisted:,} in no part are left out" if found.unlisted else ""
    said = f"{found.samples:,} {which}, {visible(found.chosen_by)}{unlisted}{_learned(found)}"
    yield Text(f"{said}; {found.views_are}")


def _learned(found: Evaluation) -> str:
    """Say that some pictures prove little; where all are asked for as such, whoever did knows."""
    if not found.learned or found.part == "train":
        return ""
    return f"; {found.learned:,} of them are training pictures, which flatter a model that learned from them"


def _figures(found: Sequence[Evaluation]) -> Table:
    names = ["", "first", "95%", "second", "95%"] if len(found) == 2 else ["", "", "95%"]
    table = of_numbers(*names)
    figures: dict[str, Callable[[Evaluation], tuple[str, str]]] = {
        "top-1 %": lambda each: (f"{each.top1:.2f}", _interval(each.intervals["top1"], 2)),
        "top-5 %": lambda each: (_number(each.top5, 2), _interval(each.intervals["top5"], 2)),
        "loss": lambda each: (f"{each.loss:.4f}", _interval(each.intervals["loss"], 4)),
        "macro F1 %": lambda each: (f"{each.macro_f1:.2f}", ""),
        "weighted F1 %": lambda each: (f"{each.weighted_f1:.2f}", ""),
        "balanced accuracy %": lambda each: (f"{each.balanced_accuracy:.2f}", ""),
        "calibration error %": lambda each: (f"{100 * each.calibration.ece:.2f}", ""),
    }
    for name, figure in figures.items():
        cells = [cell for each in found for cell in figure(each)]
        if any(cells):
            table.add_row(name, *cells)
    table.caption, table.caption_justify = METHODS, "left"
    return table


def _calibration(found: Evaluation) -> Iterator[RenderableType]:
    """Say whether the probabilities come true, and what would mend them."""
    known = found.calibration
    yield Text("\nCalibration", style="bold")
    now = f"At temperature {known.temperature:.4g}, which is the model's"
    errors = (
        f"the calibration error is {100 * known.ece:.2f}%, "
        f"of the worst of {len(known.bins)} bins {100 * known.mce:.2f}%."
    )
    if known.best_temperature is None or known.best_ece is None or known.best_loss is None:
        yield _indented(f"{now}, {errors} No temperature fits best, as {found.why_no_temperature}.")
        return
    yield _indented(
        f"{now}, it is {known.leaning}: {errors} "
        f"Temperature {known.best_temperature:.4g} fits best: then it is {100 * known.best_ece:.2f}%, "
        f"and the loss {known.best_loss:.4f}."
    )


def _classes(found: Evaluation) -> Iterator[RenderableType]:
    there = [row for row in found.per_class if row.f1 is not None]
    absent = sum(row.support == 0 for row in found.per_class)
    yield Text("\nClasses, worst first", style="bold")
    table = of_numbers("class", "pictures", "precision %", "recall %", "F1 %")
    for row in sorted(there, key=_worst)[:ROWS]:
        figures = (_number(value, 1) for value in (row.precision, row.recall, row.f1))
        table.add_row(Text(visible(row.name)), f"{row.support:,}", *figures)
    yield table
    notes = [f"{len(there) - ROWS:,} better ones are not shown: {WHOLE}"] if len(there) > ROWS else []
    notes += [f"{absent:,} of the model's {len(found.per_class):,} classes have no picture"] if absent else []
    yield from (_indented(f"{note}.") for note in notes)


def _worst(row: ClassScores) -> tuple[float, float]:
    return row.f1 or 0.0, -row.support


def _confusions(found: Evaluation) -> Iterator[RenderableType]:
    confused = found.confusions(FIRST)
    if not confused:
        return
    yield Text("\nTaken for one another most often", style="bold")
    table = of_numbers("times", "class", "taken for", left=("class", "taken for"))
    for each in confused:
        table.add_row(f"{each.count:,}", Text(visible(each.label)), Text(visible(each.predicted)))
    yield table


def _pictures(heading: str, some: Sequence[Mistake], count: int) -> Iterator[RenderableType]:
    if not some:
        return
    yield Text(f"\n{heading}", style="bold")
    table = of_numbers("picture", "label", "%", "predicted", "%", left=("picture", "label", "predicted"))
    for each in some[:FIRST]:
        label, predicted = Text(visible(each.label)), Text(visible(each.predicted))
        chances = f"{100 * each.own:.1f}", f"{100 * each.probability:.1f}"
        table.add_row(Text(visible(each.path)), label, chances[0], predicted, chances[1])
    yield table
    if count > FIRST:
        listed = WHOLE if count == len(some) else f"--json has {len(some):,}, --mistakes asks for more"
        yield _indented(f"and {count - FIRST:,} more: {listed}.")


def _bad(found: Evaluation) -> Iterator[RenderableType]:
    if not found.bad:
        return
    yield Text(
        f"\nPictures that cannot be read, and are not counted: {len(found.bad):,}", style="bold yellow"
    )
    yield from (_indented(visible(f"{each.path}: {each.reason}")) for each in found.bad[:FIRST])
    if len(found.bad) > FIRST:
        yield _indented(f"and {len(found.bad) - FIRST:,} more: {WHOLE}.")


def _indented(sentence: str) -> Padding:
    return Padding(Text(sentence, overflow="fold"), (0, 0, 0, 2), expand=False)


def _interval(found: Interval | None, places: int) -> str:
    return f"{found[0]:.{places}f} to {found[1]:.{places}f}" if found else ""


def _number(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:.{places}f}"
