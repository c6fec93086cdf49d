"""The end of a training: what it came to, in words and figures, beside the models."""

from __future__ import annotations

from typing import Any

from residua.data.dataset import Data
from residua.training.keeping.metrics import read_metrics
from residua.training.keeping.run import Run
from residua.training.pictures.loaders import training_places
from residua.training.settings import Settings
from residua.training.settling.choices import called
from residua.training.telling.card import write_card
from residua.training.telling.report import write_report
from residua.training.telling.watching import Watch, outcome
from residua.training.updating.state import Counts

SCORES = ("val_top1", "val_top5", "val_macro_f1", "val_loss", "train_loss")


def finish(run: Run, settings: Settings, data: Data, counts: Counts, watch: Watch) -> None:
    """Write the card, the report and the summary; the summary last, for it says that the run is over."""
    passes = [line for line in read_metrics(run.folder) if line["val_loss"] is not None]
    summary = summarized(settings, data, counts, passes)
    write_card(run.folder, settings, data, summary)
    write_report(run.folder, settings, data, summary, passes)
    run.finish(summary)
    watch.say(outcome(run.folder, summary))


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
        "train": len(training_places(data, settings.seed, settings.limit)),
        "val": len(data.places("val")),
        "steps": counts.step,
        "epochs": len(counts.scores),
        "metric": settings.recipe.metric,
        "best": counts.best,
        "best_step": counts.best_step,
        "best_scores": {name: best.get(name) for name in SCORES},
        "last": counts.scores[-1] if counts.scores else None,
        "skipped": counts.skipped,
    }
