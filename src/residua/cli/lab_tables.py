"""Tables of the lab."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from residua.cli.tables import of_texts
from residua.lab.experiment import Experiment
from residua.lab.reporting import amounts, words
from residua.lab.reporting.judged import judged
from residua.lab.reporting.records import Record
from residua.lab.scales import SCALES
from residua.nets.description import quantity

MOST = 6  # quantities beside each other


def experiments_table(experiments: Iterable[Experiment]) -> Table:
    """One line for each experiment."""
    table = of_texts("experiment", "question", "claims", *(f"{scale}: trainings" for scale in SCALES))
    for each in experiments:
        trainings = [each.trainings(scale) for scale in SCALES]
        table.add_row(
            each.name, each.question, str(len(each.claims)), *(str(count or "none") for count in trainings)
        )
    table.caption = "Experiments share trainings of the same network."
    return table


def networks_table(record: Record) -> Table:
    """What was measured of each network: the median over the seeds, and the range."""
    title = f"{record.result['title']} ({record.name}, {record.scale})"
    if not record.trials:
        table = of_texts("network", "depth", "parameters", "multiply-adds", title=title)
        for label, row in record.networks.items():
            table.add_row(label, str(row["depth"]), f"{row['parameters']:,}", f"{row['multiply_adds']:,}")
        return table
    quantities = record.quantities[:MOST]
    table = of_texts("network", "parameters", "n", *map(amounts.in_words, quantities), title=title)
    for label, row in record.networks.items():
        found = record.result["summary"][label]
        n = max((spread["n"] for spread in found.values()), default=0)
        cells = [amounts.spread(found.get(name), name) for name in quantities]
        table.add_row(label, quantity(row["parameters"]), str(n), *cells)
    return table


def remarks(record: Record) -> list[str]:
    """What is missing, what failed, and what went on without some updates."""
    missing = sum(row["state"] == "missing" for row in record.trials)
    lines = [f"{missing} of {len(record.trials)} trainings are missing."] if missing else []
    return lines + [f"{which}: {why}" for which, why in words.failures(record)]


def claims_table(record: Record) -> Table:
    """What the papers say, what was measured, and whether it bears them out."""
    table = of_texts("claim", "place", "paper", "measured", "n", "verdict", "why")
    for row in judged(record):
        says = f"{row.says} Told elsewhere: {row.elsewhere}" if row.elsewhere else row.says
        n = str(row.n or "")
        table.add_row(says, row.where, row.paper or "-", row.measured or "-", n, row.verdict, row.why)
    return table
