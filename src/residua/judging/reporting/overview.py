"""The data and the settings of a run in a few rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import yaml

from residua.data.dataset import PARTS
from residua.judging.reporting.records import Records

LONGEST = 40_000  # characters of settings
NAMED = 12  # bad pictures

# What a reader asks for first, and where the settings have it.
SETTINGS = {
    "network": "spec.name",
    "weights to start from": "weights",
    "recipe": "recipe.name",
    "optimizer": "recipe.optimizer",
    "learning rate": "recipe.learning_rate",
    "schedule": "recipe.schedule",
    "batch": "recipe.batch",
    "updates": "steps",
    "size of the pictures": "preprocessing.size",
    "preprocessing": "preprocessing.rule",
    "channels": "preprocessing.channels",
    "best pass by": "recipe.metric",
    "seed": "seed",
    "device": "device",
    "precision": "precision",
}
ENVIRONMENT = ("residua", "python", "platform", "processor", "processors", "threads")


@dataclass(frozen=True)
class Finding:
    """Something that the check of the pictures found, and what is done about it."""

    title: str
    count: int
    remedy: str


def title(run: Records) -> tuple[str, str]:
    """Return what the network and the data are called."""
    model = run.summary.get("model") or _at(run.config, "spec.name") or "a network"
    where = str(run.config.get("data") or "unknown data")
    return str(model), PurePath(where).name or where


def findings(run: Records) -> list[Finding]:
    """Return what the check before the training found."""
    found = run.data.get("findings")
    return list(_findings(found if isinstance(found, list) else []))


def _findings(rows: list[Any]) -> Iterator[Finding]:
    for row in rows:
        if isinstance(row, dict) and isinstance(row.get("count"), int):
            yield Finding(str(row.get("title")), row["count"], str(row.get("remedy")))


def sizes(run: Records) -> list[tuple[str, str]]:
    """Return the width and height of the pictures, from the least to the greatest."""
    found = [(side, _at(run.data, f"sizes.{side}")) for side in ("width", "height")]
    return [(f"{side} in pixels", _range(spread)) for side, spread in found if isinstance(spread, dict)]


def _range(spread: Mapping[str, Any]) -> str:
    low, high = spread.get("min"), spread.get("max")
    return f"{low}" if low == high else f"{low} to {high}"


def parts(run: Records) -> dict[str, int]:
    """Count the pictures of every part that has any."""
    counts = Counter(row["split"] for row in run.split)
    if isinstance(limit := run.config.get("limit"), int):
        counts["train"] = min(counts["train"], limit)
    return {part: counts[part] for part in PARTS if counts[part]}


def learned(run: Records) -> Counter[str]:
    """Count the pictures that were learned from by class; which of them a limit drew, no file says."""
    found = Counter(row["label"] for row in run.split if row["split"] == "train")
    return found if found.total() == parts(run).get("train") else Counter()


def class_sizes(run: Records) -> list[tuple[str, int]]:
    """Count the pictures of each class, the most first."""
    return Counter(row["label"] for row in run.split).most_common()


def settings(run: Records) -> list[tuple[str, str]]:
    """Return the settings that a reader asks for first."""
    found = ((title, _at(run.config, path)) for title, path in SETTINGS.items())
    return [(title, str(value)) for title, value in found if value is not None]


def day(run: Records) -> str:
    """Return the day on which the training began, where that is known."""
    return str(run.environment.get("started", ""))[:10]


def environment(run: Records) -> list[tuple[str, str]]:
    """Return what the training ran on."""
    said = run.environment
    rows = [(name, str(said[name])) for name in ENVIRONMENT if said.get(name)]
    libraries = said.get("libraries")
    if isinstance(libraries, dict):
        rows += [(str(name), str(version)) for name, version in libraries.items()]
    gpus = said.get("gpus")
    return [*rows, ("GPUs", ", ".join(map(str, gpus)))] if isinstance(gpus, list) and gpus else rows


def all_settings(run: Records) -> str:
    """Return every setting, as the configuration file has it."""
    text = yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True, width=90) if run.config else ""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n..."


def _at(values: Mapping[str, Any], path: str) -> Any:
    found: Any = values
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found
