"""Where the figures and pictures of a report come from: the run's files, or else its model and its data."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from residua.data.checking.checked import Progress
from residua.data.dataset import PARTS, Data
from residua.data.sources.recognition import open_data
from residua.errors import UserError
from residua.judging.reporting.judged import Judged
from residua.judging.reporting.records import BEST, EVALUATION, SPLIT, Records

if TYPE_CHECKING:
    from residua.judging.model import Model


def pictures(run: Records, where: str | None = None) -> Data | None:
    """Open the pictures of a run, in the parts that they had; those that are gone are left out."""
    where = where or run.config.get("data")
    if not isinstance(where, str) or not run.split:
        return None
    try:
        data = open_data(where, root=run.config.get("root"))
    except UserError as error:
        run.missing.append(f"The pictures cannot be had: {error}")
        return None
    parts = {row["path"]: row["split"] for row in run.split}
    kept = [place for place, name in enumerate(data.names) if parts.get(name) in PARTS]
    if gone := len(parts) - len(kept):
        run.missing.append(f"{gone:,} of the run's {len(parts):,} pictures are no longer in {where!r}.")
    data = data.keep(np.array(kept, np.int64))
    numbers = [PARTS.index(parts[name]) for name in data.names]
    return replace(data, parts=np.array(numbers, np.int8))


def model(run: Records) -> Model | None:
    """Load the best model so far."""
    from residua.judging.model import load

    path = run.folder / BEST
    if not path.is_file():
        run.missing.append(f"There is no {BEST} yet, so nothing can be said of how good it is.")
        return None
    try:
        return load(path)
    except UserError as error:
        run.missing.append(f"The model cannot be had: {error}")
        return None


def judged(
    run: Records, best: Model | None, data: Data | None, progress: Progress | None = None
) -> Judged | None:
    """Return the evaluation that the training left, or else evaluate the best model now."""
    said = run.evaluation if _is_of(run.evaluation, best) else {}
    said = said or _evaluated(run, best, data, progress) or run.evaluation
    learned = Counter(row["label"] for row in run.split if row["split"] == "train")
    try:
        return Judged.from_json(said, learned) if said else None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError):
        run.missing.append(f"{EVALUATION} does not say what it should: it was changed.")
        return None


def _is_of(said: dict[str, Any], best: Model | None) -> bool:
    """Whether an evaluation is of the model as it is now: its temperature may have been set since."""
    calibration = said.get("calibration")
    if best is None or not isinstance(calibration, dict):
        return True
    return bool(calibration.get("temperature") == (best.metadata.temperature or 1.0))


def _evaluated(
    run: Records, best: Model | None, data: Data | None, progress: Progress | None
) -> dict[str, Any]:
    if best is None or data is None or not len(places := data.places("val")):
        return {}
    from residua.judging.evaluation import evaluate
    from residua.judging.showing.samples import Samples

    try:
        held_out = Samples(data.keep(places), "val", f"as {SPLIT} says", ())
        return evaluate(best, held_out, device="auto", progress=progress).as_json()
    except UserError as error:
        run.missing.append(f"The model could not be evaluated: {error}")
        return {}
