"""The files of a run's folder: what they are called, and what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from residua.errors import UserError
from residua.text import parse_json

BEST, LAST = "best.safetensors", "last.safetensors"
CONFIG, ENVIRONMENT, SUMMARY, LOG = "config.yaml", "env.json", "summary.json", "log.txt"
SPLIT, BAD, CLASSES, DATA = "split.csv", "bad_images.csv", "classes.json", "data.json"
METRICS, EVALUATION, REPORT = "metrics.jsonl", "evaluation.json", "report.html"
ALWAYS = {"epoch", "step", "val_top1"}  # in every line of metrics


class PlainLoader(yaml.SafeLoader):
    """Reads YAML without aliases, of which ten lines may stand for more than any memory holds.

    What is not of the kind that it says it is, what is nested too deep, and whole numbers beyond all floats
    are errors of YAML too.
    """

    def get_single_data(self) -> Any:
        """Read a document."""
        try:
            return super().get_single_data()
        except RecursionError:
            raise yaml.composer.ComposerError(problem="it is nested too deep") from None

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuse what stands for something above it."""
        if self.check_event(yaml.AliasEvent):
            problem = "it has an alias (*name), write out what that stands for"
            raise yaml.composer.ComposerError(problem=problem)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Make a value of what is written."""
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int):
                float(value)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
            written = f"{node.value!r:.50}" if isinstance(node, yaml.ScalarNode) else "a list or a mapping"
            shown = f"{written} is not valid as {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(problem=shown) from None
        return value


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
        except ValueError:
            if number < len(lines):
                raise UserError(f"line {number} of {path} holds no metrics: it was changed.") from None
    return found


def _line(line: bytes) -> dict[str, Any]:
    value = parse_json(line)
    if not isinstance(value, dict) or not value.keys() >= ALWAYS:
        raise ValueError(line)
    return value
