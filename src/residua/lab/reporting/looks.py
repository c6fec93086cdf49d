"""How each network of an experiment looks, the same in all of its figures."""

from __future__ import annotations

import re

from residua.lab.inside.style import Look, look_of
from residua.lab.reporting.records import Record

Families = dict[str, dict[int, str]]


def families(record: Record) -> Families:
    """Return labels by family and depth ("plain-20", "plain-56"); nothing where depth is not what differs."""
    found: Families = {}
    for label, row in record.networks.items():
        name, _, depth = label.rpartition("-")
        if not name or not re.fullmatch(r"\d+", depth) or int(depth) != row["depth"]:
            return {}
        found.setdefault(name, {})[int(depth)] = label
    return found if any(len(depths) > 1 for depths in found.values()) else {}


def looks(record: Record) -> dict[str, Look]:
    """Return a look for every label; in families the colour says the depth, marker and dashes the family."""
    found = families(record)
    if not found:
        return {label: look_of(place) for place, label in enumerate(record.networks)}
    depths = sorted({depth for labels in found.values() for depth in labels})
    return {
        label: look_of(depths.index(depth))._replace(
            marker=look_of(place).marker, dashes=look_of(len(found) - 1 - place).dashes
        )
        for place, labels in enumerate(found.values())
        for depth, label in labels.items()
    }
