"""Where the figures and pictures of a report come from: the run's files, or else its model and its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from residua.data.checking.checked import Progress
from residua.data.dataset import Data
from residua.data.sources.recognition import open_data
from residua.data.splitting import rows_listed
from residua.errors import UserError
from residua.judging.evaluation import evaluate
from residua.judging.model import Model, load
from residua.judging.reporting.judged import Judged
from residua.judging.reporting.records import Records
from residua.judging.runfiles import BEST, EVALUATION, SPLIT
from residua.judging.showing.samples import Samples

STALE = (
    "The model's temperature was changed since it was judged, and it could not be judged anew: its "
    "probabilities, and what follows from them, are those of before."
)
NOT_SO = (LookupError, TypeError, ValueError)  # what comes of reading what does not say what it should


@dataclass(frozen=True)
class Sources:
    """What a report shows beside a run's files, and what could not be had of it, in sentences."""

    pictures: Data | None
    model: Model | None
    judged: Judged | None
    missing: tuple[str, ...]


def gather(run: Records, data: Data | str | None = None, progress: Progress | None = None) -> Sources:
    """Open the pictures of a run, or `data`, and the best model, which is judged where nobody has."""
    missing: list[str] = []
    pictures = data if isinstance(data, Data) else _pictures(run, data, missing)
    model = _model(run, missing)
    return Sources(pictures, model, _judged(run, model, pictures, progress, missing), tuple(missing))


def _pictures(run: Records, where: str | None, missing: list[str]) -> Data | None:
    """Open the pictures of a run, in the parts that they had; those that are gone are left out."""
    where = where or run.config.get("data")
    if not isinstance(where, str) or not run.split:
        return None
    try:
        found = rows_listed(open_data(where, root=run.config.get("root")), run.folder / SPLIT, run.split)
    except UserError as error:
        missing.append(f"The pictures cannot be had: {error}")
        return None
    if found.gone:
        missing.append(f"{found.gone:,} of the run's {len(run.split):,} pictures are no longer in {where!r}.")
    return found.data


def _model(run: Records, missing: list[str]) -> Model | None:
    """Load the best model so far."""
    if not (run.folder / BEST).is_file():
        missing.append(f"There is no {BEST} yet, so nothing can be said of how good it is.")
        return None
    try:
        return load(run.folder / BEST)
    except UserError as error:
        missing.append(f"The model cannot be had: {error}")
        return None


def _judged(
    run: Records, model: Model | None, data: Data | None, progress: Progress | None, missing: list[str]
) -> Judged | None:
    """Return the evaluation that the training left, or else evaluate the best model now."""
    said = run.evaluation
    if not said or not _is_of(said, model):
        anew = _evaluated(model, data, progress, missing)
        if said and not anew:
            missing.append(STALE)
        said = anew or said
    try:
        return Judged.from_json(said) if said else None
    except NOT_SO:
        missing.append(f"{EVALUATION} does not say what it should: it was changed.")
        return None


def _is_of(said: dict[str, Any], model: Model | None) -> bool:
    """Whether an evaluation is of the model as it is now: its temperature may have been set since."""
    calibration = said.get("calibration")
    if model is None or not isinstance(calibration, dict):
        return True
    return bool(calibration.get("temperature") == (model.metadata.temperature or 1.0))


def _evaluated(
    model: Model | None, data: Data | None, progress: Progress | None, missing: list[str]
) -> dict[str, Any]:
    if model is None or data is None or not len(places := data.places("val")):
        return {}
    held_out = Samples(data.keep(places), "val", f"as {SPLIT} says", ())
    try:
        return evaluate(model, held_out, device="auto", progress=progress).as_json()
    except UserError as error:
        missing.append(f"The model could not be evaluated: {error}")
        return {}
