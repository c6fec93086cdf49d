"""The files of a run's folder: what they are called, and what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from residua.errors import UserError

BEST, LAST = "best.safetensors", "last.safetensors"
CONFIG, ENVIRONMENT, SUMMARY, LOG = "config.yaml", "env.json", "summary.json", "log.txt"
SPLIT, BAD, CLASSES, DATA = "split.csv", "bad_images.csv", "classes.json", "data.json"
METRICS, EVALUATION, REPORT = "metrics.jsonl", "evaluation.json", "report.html"
ALWAYS = {"epoch", "step", "val_top1"}  # in every line of metrics


class PlainLoader(yaml.SafeLoader):
    """Reads YAML without aliases, of which ten lines may stand for more than any memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuse what stands for something above it."""
        if self.check_event(yaml.AliasEvent):
            problem = "it has an alias (*name), write out what that stands for"
            raise yaml.composer.ComposerError(problem=problem)
        return super().compose_node(parent, index)


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics; a last one that a crash tore is left out."""
    path = folder / METRICS
    try:
        *lines, _ = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(_line(line))
        except (ValueError, RecursionError):
            if number < len(lines):
                raise UserError(f"line {number} of {path} holds no metrics: it was changed.") from None
    return found


def _line(line: bytes) -> dict[str, Any]:
    value = json.loads(line)
    if not isinstance(value, dict) or not value.keys() >= ALWAYS:
        raise ValueError(line)
    return value
