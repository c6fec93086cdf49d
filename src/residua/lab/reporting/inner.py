"""Figures of what was measured inside the networks of an experiment, over all of its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, get_args

from residua.lab.inside import figures
from residua.lab.inside.gradients import Gradients, predicted_norms
from residua.lab.inside.lesions import Lesions, RandomLesions
from residua.lab.inside.paths import Paths, path_lengths, shortest_range
from residua.lab.inside.responses import Responses
from residua.lab.reporting.drawing import Drawing
from residua.lab.reporting.looks import looks
from residua.lab.reporting.records import Record, Values
from residua.nets.values import hints

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Details = dict[str, dict[int, Values]]  # by label and seed
OVER_SEEDS = "medians over the seeds"
STAGES = {"initial": "before training", "final": "after training"}


def responses(record: Record) -> Drawing | None:
    """Draw layer responses, as v1's Figure 7."""
    found = _details(record, "responses")
    if not found:
        return None
    drawn = {label: read(Responses, middle(list(each.values()))) for label, each in found.items()}
    return Drawing(
        "responses",
        "Layer responses",
        "Standard deviation of each layer's response, behind the norm and before the nonlinearity and the "
        f"addition, in the layers' order and by size: {OVER_SEEDS}. Hollow marks, where no norm follows "
        "directly, are not to be compared.",
        _middles(record, "responses.deviation", "Mean deviation"),
        ("label", "seed", "layer", "measured", "deviation"),
        [
            (label, seed, layer["layer"], layer["measured"], layer["deviation"])
            for label, each in found.items()
            for seed, detail in each.items()
            for layer in detail["layers"]
        ],
        lambda: figures.responses_figure(drawn, looks(record)),
    )


def gradients(record: Record, stage: str) -> Drawing | None:
    """Draw gradients at each unit, and what the lambdas predict, before or after training."""
    found = {
        label: {seed: detail[stage] for seed, detail in each.items()}
        for label, each in _details(record, "gradients").items()
    }
    if not found:
        return None
    drawn = {label: read(Gradients, middle(list(each.values()))) for label, each in found.items()}
    return Drawing(
        f"gradients-{stage}",
        f"Gradients {STAGES[stage]}",
        f"Norm of dE/dx at each unit {STAGES[stage]} and, dashed with crosses, what the product of the "
        "shortcuts' lambdas predicts; its two terms; and for how many samples nearly nothing is left. "
        f"{OVER_SEEDS.capitalize()}; a plain network has no lambdas.",
        _middles(record, f"gradients.{stage}_ratio", "Gradient at the first unit over that behind the last"),
        ("label", "seed", "unit", "norm", "predicted", "direct", "through", "near_zero"),
        [
            (label, seed, *row)
            for label, each in found.items()
            for seed, detail in each.items()
            for row in _gradient_rows(read(Gradients, detail))
        ],
        lambda: figures.gradients_figure(drawn, looks(record)),
    )


def lesions(record: Record) -> Drawing | None:
    """Draw the error with units left out or swapped, as the unravelled view's Figures 3 and 5."""
    found = _details(record, "lesions")
    if not found:
        return None
    parts = {
        name: {label: own for label, each in found.items() if (own := _parts(each, name))}
        for name in ("each", "at_random", "swaps")
    }
    return Drawing(
        "lesions",
        "Units left out, and swapped",
        "Error with one unit left out, with several left out at random, and with pairs swapped, without any "
        "training afterwards. On the left medians over the seeds, in the others all draws of all seeds.",
        _middles(record, "lesions.one_removed", "Points of error by one unit left out"),
        ("label", "seed", "kind", "units", "tau", "error"),
        [
            (label, seed, *row)
            for label, each in found.items()
            for seed, detail in each.items()
            for row in _lesion_rows(detail)
        ],
        lambda: _lesions_figure(record, parts),
    )


def paths(record: Record) -> Drawing | None:
    """Draw path lengths and the gradient they carry, as the unravelled view's Figure 6."""
    found = _details(record, "paths")
    if not found:
        return None
    drawn = {label: read_paths(list(each.values())) for label, each in found.items()}
    effective = [f"{label} {each.effective[0]} to {each.effective[1]}" for label, each in drawn.items()]
    return Drawing(
        "paths",
        "Which paths carry the gradient",
        "How many paths there are of each length, the gradient that comes along one of them, and along all "
        f"of a length; thick: the effective paths. Magnitudes are {OVER_SEEDS}.",
        "Effective path lengths: " + "; ".join(effective) + ".",
        ("label", "seed", "length", "paths", "magnitude", "share"),
        [
            (label, seed, *(each[name] for name in ("length", "paths", "magnitude", "share")))
            for label, by_seed in found.items()
            for seed, detail in by_seed.items()
            for each in detail["lengths"]
        ],
        lambda: figures.paths_figure(drawn, looks(record)),
    )


def middle(values: Sequence[Any]) -> Any:
    """Return plain data like each of these, with the median of every number.

    >>> middle([{"a": [1, None]}, {"a": [3, 5]}, {"a": [4, 7]}])
    {'a': [3, 6.0]}
    """
    first = values[0]
    if isinstance(first, Mapping):
        return {name: middle([each[name] for each in values]) for name in first}
    if isinstance(first, list):
        return [middle(each) for each in zip(*values, strict=False)]
    numbers = [each for each in values if isinstance(each, (int, float)) and not isinstance(each, bool)]
    return median(numbers) if numbers else first


def read(kind: Any, values: Values) -> Any:
    """Read what `as_json` of a dataclass gave."""
    known = hints(kind)
    return kind(**{name: _read(known[name], value) for name, value in values.items() if name in known})


def _read(hint: Any, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_read(hint, each) for each in value)
    kinds = [kind for kind in (hint, *get_args(hint)) if is_dataclass(kind)]
    return read(kinds[0], value) if kinds and isinstance(value, Mapping) else value


def read_random(details: Sequence[Values]) -> RandomLesions:
    """Read random lesions of several seeds, with the draws of all of them."""
    rows = [
        {"count": same[0]["count"], "trials": [trial for row in same for trial in row["trials"]]}
        for same in zip(*(detail["rows"] for detail in details), strict=False)
    ]
    error = median(detail["error"] for detail in details)
    found: RandomLesions = read(RandomLesions, {**details[0], "error": error, "rows": rows})
    return found


def read_paths(details: Sequence[Values]) -> Paths:
    """Read paths of several seeds, with the median of every magnitude."""
    first = details[0]
    magnitudes = middle([[each["magnitude"] or 0.0 for each in detail["lengths"]] for detail in details])
    lengths = path_lengths(magnitudes)
    effective = shortest_range([each.share for each in lengths], first["share"])
    found: Paths = read(Paths, {**first, "lengths": lengths, "effective": effective})
    return found


def _details(record: Record, measurement: str) -> Details:
    if not record.measured(measurement):
        return {}
    found = {label: record.details(label, measurement) for label in record.labels}
    return {label: each for label, each in found.items() if each}


def _parts(each: Mapping[int, Values], name: str) -> list[Values]:
    return [detail[name] for detail in each.values() if detail.get(name)]


def _lesions_figure(record: Record, parts: Mapping[str, Mapping[str, list[Values]]]) -> Figure:
    single = {label: read(Lesions, middle(own)) for label, own in parts["each"].items()}
    at_random, swaps = (
        {label: read_random(own) for label, own in parts[kind].items()} for kind in ("at_random", "swaps")
    )
    return figures.lesions_figure(single, at_random, swaps, looks(record))


def _gradient_rows(found: Gradients) -> list[tuple[Any, ...]]:
    return [
        (
            unit.name,
            unit.norm,
            *((predicted, unit.terms.direct, unit.terms.through) if unit.terms else (None, None, None)),
            unit.near_zero,
        )
        for unit, predicted in zip(found.units, predicted_norms(found), strict=True)
    ]


def _lesion_rows(detail: Values) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = [("none", "", None, detail["each"]["error"])]
    rows += [("each", unit["name"], None, unit["error"]) for unit in detail["each"]["units"]]
    for kind in ("at_random", "swaps"):
        for row in (detail[kind] or {"rows": ()})["rows"]:
            rows += [(kind, " ".join(each["units"]), each["tau"], each["error"]) for each in row["trials"]]
    return rows


def _middles(record: Record, quantity: str, what: str) -> str:
    values = {label: record.middle(label, quantity) for label in record.labels}
    said = [f"{label} {value:.3g}" for label, value in values.items() if value is not None]
    return f"{what}: {'; '.join(said)}."
