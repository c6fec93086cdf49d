"""Tables of the lab."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.table import Table

from residua.lab.experiment import Experiment
from residua.lab.scales import SCALES
from residua.nets.description import quantity

Result = Mapping[str, Any]
MOST = 6  # quantities beside each other


def experiments_table(experiments: Iterable[Experiment]) -> Table:
    """One line for each experiment."""
    table = _table("experiment", "question", "claims", *(f"{scale}: trainings" for scale in SCALES))
    for each in experiments:
        trainings = [
            str(len(each.members(scale)) * each.scale(scale).seeds) if each.trained else "none"
            for scale in SCALES
        ]
        table.add_row(each.name, each.question, str(len(each.claims)), *trainings)
    table.caption = "Experiments share trainings of the same network."
    return table


def networks_table(result: Result) -> Table:
    """What was measured of each network: the median over the seeds, and the range."""
    title = f"{result['title']} ({result['experiment']}, {result['scale']})"
    if not result["trials"]:
        table = _table("network", "depth", "parameters", "multiply-adds", title=title)
        for row in result["networks"]:
            counts = f"{row['parameters']:,}", f"{row['multiply_adds']:,}"
            table.add_row(row["label"], str(row["depth"]), *counts)
        return table
    quantities = list(dict.fromkeys(name for found in result["summary"].values() for name in found))[:MOST]
    table = _table("network", "parameters", "n", *map(_heading, quantities), title=title)
    for row in result["networks"]:
        found = result["summary"][row["label"]]
        n = max((spread["n"] for spread in found.values()), default=0)
        cells = [_spread(found.get(name)) for name in quantities]
        table.add_row(row["label"], quantity(row["parameters"]), str(n), *cells)
    return table


def remarks(result: Result) -> list[str]:
    """What is missing, what failed, and what went on without some updates."""
    trials = result["trials"]
    missing = sum(row["state"] == "missing" for row in trials)
    lines = [f"{missing} of {len(trials)} trainings are missing."] if missing else []
    for row in trials:
        which = f"{row['label']}, seed {row['seed']}"
        if row["reason"]:
            lines.append(f"{which}, failed: {row['reason']}")
        if row["skipped"]:
            lines.append(f"{which}: {row['skipped']} updates were left out, as the loss was no number.")
    return lines


def claims_table(result: Result) -> Table:
    """What the papers say, what was measured, and whether it bears them out."""
    table = _table("claim", "place", "paper", "measured", "verdict", "why")
    for found in result["claims"]:
        claim = found["claim"]
        place = " ".join(text for text in (claim["source"], claim["place"]) if text)
        says = claim["says"] + (f" Told elsewhere: {claim['elsewhere']}" if "elsewhere" in claim else "")
        table.add_row(says, place, _said(claim), _measured(found), found["verdict"], found["why"])
    return table


def _said(claim: Mapping[str, Any]) -> str:
    if "number" in claim:
        return f"{claim['number']} ± {claim['spread']:g}" if claim["spread"] else str(claim["number"])
    if "less" in claim:
        return f"{claim['less']} < {claim['than']}"
    bounds = [f"{sign} {claim[name]:g}" for name, sign in (("above", ">"), ("below", "<")) if name in claim]
    return " and ".join(bounds) or "-"


def _measured(found: Mapping[str, Any]) -> str:
    if found["measured"] is None:
        return "-"
    text = _number(found["measured"])
    if "less" in found["claim"]:
        text = f"difference {text}"
    if found["interval"]:
        low, high = found["interval"]
        text += f" [{_number(low)}, {_number(high)}]"
    return (
        text
        if found["claim"].get("quantity") in ("parameters", "multiply_adds", "depth")
        else (f"{text}, n={found['n']}")
    )


def _spread(spread: Mapping[str, Any] | None) -> str:
    if spread is None:
        return "-"
    text = _number(spread["median"])
    if spread["n"] > 1:
        text += f" ({_number(spread['least'])} to {_number(spread['greatest'])})"
    return text


def _number(value: float) -> str:
    if value == int(value) and abs(value) >= 1000:
        return f"{int(value):,}"
    return f"{value:.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.2g}"


def _heading(name: str) -> str:
    return name.replace("_", " ").replace(".", ": ") + (" %" if name in ("error", "train_error") else "")


def _table(*columns: str, title: str | None = None) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
