"""The end of a training: what it came to, in words and figures, beside the models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from residua.data.dataset import Data
from residua.errors import UserError
from residua.judging.evaluation import evaluate
from residua.judging.reporting.page import write_report
from residua.judging.runfiles import BEST, EVALUATION, SPLIT, read_metrics
from residua.judging.showing.samples import Samples
from residua.training.keeping.run import Run
from residua.training.pictures.loaders import training_places
from residua.training.settings import Settings
from residua.training.settling.choices import called
from residua.training.telling.card import write_card
from residua.training.telling.stopping import StoppedError
from residua.training.telling.watching import Watch, outcome
from residua.training.updating.state import Counts

SCORES = ("val_top1", "val_top5", "val_macro_f1", "val_loss", "train_loss")
PREDICTIONS = "predictions.csv"
AT_ONCE = 64  # pictures, or a batch where that is less


def finish(
    run: Run, settings: Settings, data: Data, counts: Counts, watch: Watch, stop_if_asked: Callable[[], None]
) -> dict[str, Any]:
    """Write all that is said of a training but the report, and return what it came to."""
    passes = [line for line in read_metrics(run.folder) if line["val_top1"] is not None]
    summary = summarized(settings, data, counts, passes)
    write_card(run.folder, settings, data, summary)
    try:
        _evaluate(run, settings, data, stop_if_asked)
    except StoppedError:
        raise
    except UserError as error:  # the weights are no worse for it
        lacking = [name for name in (EVALUATION, PREDICTIONS) if not (run.folder / name).exists()]
        watch.say(f"{error} The run ends without {' and '.join(lacking)}.")
    run.finish(summary)
    return summary


def show(run: Run, settings: Settings, data: Data | None, summary: dict[str, Any], watch: Watch) -> None:
    """Write the report of a run that is over, and say what it came to."""
    if settings.report:  # whatever fails, `residua report` mends
        write_report(run.folder, data=data)
    watch.say(outcome(run.folder, summary))


def _evaluate(run: Run, settings: Settings, data: Data, stop_if_asked: Callable[[], None]) -> None:
    """Judge the best model once more, by every picture's guesses and not by sums."""
    held_out = Samples(data.keep(data.places("val")), "val", f"as {SPLIT} says", (), learned=0)
    found = evaluate(
        run.folder / BEST,
        held_out,
        device=settings.device,
        batch=min(AT_ONCE, settings.recipe.batch),
        workers=settings.workers,
        progress=lambda _done, _total: stop_if_asked(),
    )
    run.write_json(EVALUATION, found.as_json() | {"model": BEST}, indent=None)  # wherever the run lies
    found.write_csv(run.folder / PREDICTIONS)


def summarized(
    settings: Settings, data: Data, counts: Counts, passes: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return what a training came to."""
    best = next((line for line in passes if line["step"] == counts.best_step), {})
    return {
        "data": settings.data,
        "model": called(settings.spec),
        "weights": settings.weights,
        "recipe": settings.recipe.name,
        "classes": len(data.classes),
        "train": len(training_places(data, settings.picture_seed, settings.limit)),
        "val": len(data.places("val")),
        "steps": counts.step,
        "epochs": len(counts.scores),
        "metric": settings.recipe.metric,
        "best": counts.best,
        "best_step": counts.best_step,
        "best_scores": {name: best.get(name) for name in SCORES},
        "last": counts.scores[-1] if counts.scores else None,  # null where it is no number
        "skipped": counts.skipped,
    }
