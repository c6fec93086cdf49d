"""What is measured of a trained trial: each once, into a file of the trial's folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from residua.errors import UserError
from residua.files import write_text
from residua.lab import taking
from residua.lab.bypicture import Each, unpacked
from residua.lab.inside.parts import InapplicableError
from residua.lab.taking import Found as Found
from residua.lab.trained import Trained
from residua.nets.spec import BATCH_NORMS, AnySpec, Spec
from residua.text import finite, parse_json

FOLDER, ERROR = "measured", "error"


class Measurement(NamedTuple):
    """How something is measured; what was measured in another version is measured again."""

    take: Callable[[Trained], Found]
    version: int  # counts the ways in which it has been measured


HOW: Mapping[str, Measurement] = {
    ERROR: Measurement(taking.error, 1),
    "responses": Measurement(taking.response, 1),
    "gradients": Measurement(taking.gradient, 1),
    "lesions": Measurement(taking.lesions, 1),
    "paths": Measurement(taking.path, 1),
    "statistics": Measurement(taking.statistics, 2),
}


def measure(trained: Trained, name: str) -> None:
    """Measure and write it down, whole or not at all; what was measured already is left."""
    if read_measured(trained.run, name) or not applies(name, trained.settings.spec):
        return
    try:
        found = HOW[name].take(trained)
    except InapplicableError as error:
        found = {"summary": {}, "detail": None, "why_not": str(error)}
    write_measured(trained.run, name, found)


def write_measured(run: Path, name: str, found: Found) -> None:
    """Write down what was measured of a run, and how."""
    path = run / FOLDER / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    write_json(path, {"version": HOW[name].version, **found}, indent=None)


def read_measured(run: Path, name: str) -> Found | None:
    """Return what was measured of a run; None if that has not been done, or in another way, or is damaged."""
    path = run / FOLDER / f"{name}.json"
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    return found if _is_found(found) and found["version"] == HOW[name].version else None


def _is_found(found: Any) -> bool:
    """Whether a file has the parts of a measurement."""
    if not isinstance(found, dict) or not found.keys() >= {"version", "summary", "detail"}:
        return False
    summary, each = found["summary"], found.get("by_picture", {})
    return (
        isinstance(summary, dict)
        and isinstance(each, dict)
        and all(value is None or isinstance(value, (int, float)) for value in summary.values())
        and all(_is_packed(text) for text in each.values())
    )


def _is_packed(text: Any) -> bool:
    try:
        return isinstance(text, str) and unpacked(text).size > 0
    except ValueError:
        return False


def by_picture(found: Found | None, quantity: str) -> Each | None:
    """Return the numbers of each picture whose mean a quantity is, in percent; None where none are kept."""
    text = (found or {}).get("by_picture", {}).get(quantity)
    return None if text is None else unpacked(text)


def write_json(path: Path, values: Mapping[str, Any], indent: int | None = 1) -> None:
    """Write plain data, whole or not at all; a number that is not finite becomes null."""
    write_text(path, json.dumps(finite(values), indent=indent) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a file holds; nothing where there is none, or it is damaged."""
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def applies(name: str, spec: AnySpec) -> bool:
    """Whether a measurement means something for a network."""
    residual = isinstance(spec, Spec) and spec.residual
    return {"paths": residual, "statistics": spec.norm in BATCH_NORMS}.get(name, True)
