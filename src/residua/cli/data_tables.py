"""What a check has found, for people at a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from residua.data.checking.findings import Finding, Item, exit_code, findings, verdict
from residua.data.checking.overview import Numbers, Overview
from residua.data.dataset import PARTS
from residua.text import visible

ROWS = 24  # classes in the table
FIRST = 4  # things named of each kind
BAR = 24  # characters
COLOURS = ("green", "yellow", "red")  # by exit code


def checked(found: Overview) -> RenderableType:
    """All of it, the verdict last."""
    every = findings(found)
    serious = [finding for finding in every if finding.serious]
    notes = [finding for finding in every if not finding.serious]
    colour = COLOURS[exit_code(found)]
    return Group(
        Text(_title(found), style="bold"),
        _classes(found),
        *_section(found, "To look at", serious, "yellow"),
        *_section(found, "Notes", notes, "cyan"),
        Text(visible(verdict(found)), style=f"bold {colour}"),
    )


def _title(found: Overview) -> str:
    classes = len(found.data.classes)
    many = f"{len(found.data):,} pictures in {classes:,} class{'' if classes == 1 else 'es'}"
    return f"{visible(found.data.where)}: {many}{_sizes(found)}"


def _sizes(found: Overview) -> str:
    if not found.sizes:
        return ""
    width, height = found.sizes["width"], found.sizes["height"]
    if width["min"] == width["max"] and height["min"] == height["max"]:
        return f", all {width['min']} x {height['min']} pixels"
    low, middle, high = (f"{width[key]:.0f} x {height[key]:.0f}" for key in ("min", "median", "max"))
    return f", {low} to {high} pixels ({middle} in the middle)"


def _classes(found: Overview) -> Table:
    """Return the classes with their pictures by part: all, or the first of very many."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("class", overflow="fold", min_width=5)
    columns = _columns(found)
    for title in columns:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", max_width=BAR)
    sizes = found.class_sizes
    longest = max(int(sizes.max()), 1)
    for place, name in enumerate(found.data.classes[:ROWS]):
        bar = Bar(longest, 0, sizes[place], color="blue")
        counts = (f"{counts[place]:,}" for counts in columns.values())
        table.add_row(Text(visible(name)), *counts, bar)
    if len(sizes) > ROWS:
        rest = (f"{counts[ROWS:].sum():,}" for counts in columns.values())
        table.add_row(f"and {len(sizes) - ROWS:,} more", *rest)
    table.add_section()
    sums = (f"{counts.sum():,}" for counts in columns.values())
    table.add_row("all", *sums, "split by Residua" if found.split_made else "")
    return table


def _columns(found: Overview) -> dict[str, Numbers]:
    """Return each part's pictures by class; data that is not split has one column."""
    by_part = {part: found.counts[:, PARTS.index(part)] for part in found.splits}
    return by_part or {"pictures": found.class_sizes}


def _section(found: Overview, title: str, every: list[Finding], colour: str) -> Iterator[RenderableType]:
    if not every:
        return
    yield Text(title, style="bold")
    for finding in every:
        remedy = (f"  {finding.remedy}", "dim")
        heading = Text.assemble((f"{finding.title}: ", colour), f"{finding.count:,}", remedy)
        yield Padding(heading, (0, 0, 0, 2), expand=False)
        for line in _lines(found, finding):
            yield Padding(Text(line, overflow="fold"), (0, 0, 0, 6), expand=False)
    yield Text()


def _lines(found: Overview, finding: Finding) -> Iterator[str]:
    yield from (visible(_line(found, item)) for item in finding.items[:FIRST])
    if finding.count > FIRST:
        yield f"and {finding.count - FIRST:,} more"


def _line(found: Overview, item: Item) -> str:
    """Name a picture or several equal ones, with class and part."""
    names = [f"{found.data.names[place]} ({found.class_and_part(place)})" for place in item.places[:FIRST]]
    if more := len(item.places) - len(names):
        names.append(f"{more:,} more")
    pictures = " = ".join(names)
    return ": ".join(piece for piece in (pictures, item.note) if piece)
