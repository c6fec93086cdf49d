"""Where the figures and pictures of a report come from: the run's files, or else its model and its data."""

from __future__ import annotations

from dataclasses import dataclass

from residua.data.checking.checked import Progress
from residua.data.dataset import Data
from residua.data.sources.recognition import open_data
from residua.data.splitting import rows_listed
from residua.errors import UserError
from residua.judging.evaluation import evaluate
from residua.judging.model import Model, load
from residua.judging.reporting.judged import Judged
from residua.judging.reporting.records import Records
from residua.judging.runfiles import BEST, CONFIG, EVALUATION, SPLIT
from residua.judging.showing.samples import Samples

STALE = (
    f"{EVALUATION} is not of {BEST} as it is now, which could not be judged anew: the figures are those of "
    "before, and where the network looked is not shown."
)
ODD = f"{EVALUATION} does not say what it should: it was changed, and its figures are not used."
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
    model, judged = _model(run, missing), _kept(run, missing)
    is_now = model is None or run.evaluation.get("digest") == model.digest
    if judged is None or not is_now:
        if anew := _evaluated(model, pictures, progress, missing):
            judged = anew
        elif judged:
            missing.append(STALE)
            model = None
    return Sources(pictures, model, judged, tuple(missing))


def _pictures(run: Records, where: str | None, missing: list[str]) -> Data | None:
    """Open the pictures of a run, in the parts that they had; those that are gone are left out."""
    where, root = where or run.config.get("data"), run.config.get("root")
    if not run.split:
        return None
    if not isinstance(where, str) or not isinstance(root, (str, type(None))):
        missing.append(f"{CONFIG} does not say where the pictures are: its data and root must be paths.")
        return None
    try:
        found = rows_listed(open_data(where, root=root), run.folder / SPLIT, run.split)
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


def _kept(run: Records, missing: list[str]) -> Judged | None:
    """Return the evaluation that the training left."""
    try:
        return Judged.from_json(run.evaluation) if run.evaluation else None
    except NOT_SO:
        missing.append(ODD)
        return None


def _evaluated(
    model: Model | None, data: Data | None, progress: Progress | None, missing: list[str]
) -> Judged | None:
    """Judge the best model now."""
    if model is None or data is None or not len(places := data.places("val")):
        return None
    held_out = Samples(data.keep(places), "val", f"as {SPLIT} says", ())
    try:
        found = evaluate(model, held_out, device="auto", progress=progress)
    except UserError as error:
        missing.append(f"The model could not be evaluated: {error}")
        return None
    return Judged.from_json(found.as_json())
