"""Tables that people read in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import fields
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, RenderableType
from rich.segment import Segments
from rich.table import Table

from residua.nets.description import describe, group_layers, quantity
from residua.nets.layers import Group
from residua.nets.plan import Plan
from residua.nets.plan import plan as expand
from residua.nets.zoo import title
from residua.text import visible, visible_lines

if TYPE_CHECKING:
    from residua.weights.metadata import Metadata

WIDE = 1000  # columns for a pipe or a file, where nothing may be cut
RIGHT = ("depth", "output", "parameters", "multiply-adds", "input")  # numbers, set to the right


def show(what: RenderableType) -> None:
    """Print to standard output, uncut where that is not a terminal."""
    width = None if sys.stdout.isatty() else WIDE
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    shown = (each._replace(text=visible_lines(each.text)) for each in console.render(what))
    console.print(Segments(shown), end="")


def models(rows: Iterable[dict[str, Any]]) -> Table:
    """One line for each network."""
    table = of_texts("network", "depth", "parameters", "multiply-adds", "input", right=RIGHT)
    for row in rows:
        table.add_row(
            row["name"],
            str(row["depth"]),
            f"{row['parameters']:,}",
            f"{row['multiply_adds']:,}",
            f"{row['input_size']}x{row['input_size']}",
        )
    return table


def description(plan: Plan) -> Table:
    """The papers' Table 1 column of one network, and its totals."""
    data = describe(plan)
    columns = ("layers", "output", "units", "parameters", "multiply-adds")
    table = of_texts(*columns, right=RIGHT, title=_title(plan), ruled=True)
    for group in plan.groups:
        side = group.outputs.side
        table.add_row(
            group.name,
            f"{side}x{side}",
            _brackets(group),
            _count(group.parameters),
            _count(group.multiply_adds),
            end_section=group is plan.groups[-1],
        )
    table.add_row("total", "", f"depth {plan.depth}", f"{plan.parameters:,}", f"{plan.multiply_adds:,}")
    table.caption = "\n".join(_needs(data))
    table.caption_justify = "left"
    return table


def comparison(plans: list[Plan]) -> Table:
    """Networks side by side, group by group, each with its difference from the first."""
    table = of_texts("layers", *(_title(plan) for plan in plans), ruled=True)
    for groups in zip_longest(*_aligned(plans)):
        name = next(group.name for group in groups if group)
        table.add_row(name, *(_cell(group, groups[0], i > 0) for i, group in enumerate(groups)))
    table.add_section()
    table.add_row("total", *(_total(plan, plans[0]) for plan in plans))
    return table


def metadata(file: Path, stated: Metadata) -> Table:
    """Everything that a model file says of itself."""
    plan = expand(stated.spec)
    table = of_texts("", "", title=visible(str(file)), ruled=True)
    table.show_header = False
    table.add_row("network", f"{_title(plan)}, {plan.parameters:,} parameters")
    table.add_row("classes", _class_names(stated))
    for name in ("preprocessing", "provenance", "accuracy"):
        value = getattr(stated, name)
        table.add_row(name, "unknown" if value is None else _fields(value))
    if stated.temperature:
        table.add_row("temperature", f"{stated.temperature:g}")
    table.add_row("checksum", "verified")
    return table


def _class_names(stated: Metadata) -> str:
    if stated.classes is None:
        return f"{stated.spec.num_classes}, names unknown"
    first = ", ".join(entry.name for entry in stated.classes[:8])
    more = ", ..." if len(stated.classes) > 8 else ""
    return f"{len(stated.classes)}: {visible(first)}{more}"


def _fields(record: Any) -> str:
    values = ((field.name, getattr(record, field.name)) for field in fields(record))
    return "\n".join(f"{name} {_value(value)}" for name, value in values if value not in (None, "", ()))


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_value(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else visible(str(value))


def published(rows: Iterable[dict[str, Any]]) -> Table:
    """One line for each published file."""
    table = of_texts("network", "version", "top-1 %", "top-5 %", "in the cache")
    for row in rows:
        cached = "yes" if row["cached"] else "no"
        table.add_row(row["name"], row["version"], f"{row['top1']:.3f}", f"{row['top5']:.3f}", cached)
    return table


def _aligned(plans: list[Plan]) -> list[list[Group | None]]:
    """Groups of all plans under the same names in the same rows, in an order that fits every plan."""
    named = [{group.name.removesuffix("_x"): group for group in plan.groups} for plan in plans]
    order: list[str] = []
    for groups in named:
        place = 0
        for name in groups:
            if name not in order:
                order.insert(place, name)
            place = order.index(name) + 1
    return [[groups.get(name) for name in order] for groups in named]


def _cell(group: Group | None, first: Group | None, compared: bool) -> str:
    if group is None:
        return "-"
    lines = [f"{group.outputs.side}x{group.outputs.side}", _brackets(group)]
    if group.parameters:
        lines.append(_numbers(group.parameters, group.multiply_adds))
    if compared:
        base = (first.parameters, first.multiply_adds) if first else (0, 0)
        lines.append(_difference(group.parameters - base[0], group.multiply_adds - base[1]))
    return "\n".join(lines)


def _total(plan: Plan, first: Plan) -> str:
    lines = [f"{plan.parameters:,} parameters", f"{plan.multiply_adds:,} multiply-adds"]
    if plan is not first:
        parameters = plan.parameters / first.parameters
        work = plan.multiply_adds / first.multiply_adds
        lines.append(f"({parameters:.1%} and {work:.1%} of {title(first.spec)})")
    return "\n".join([*lines, *_needs(describe(plan))])


def _numbers(parameters: int, multiply_adds: int, sign: str = "") -> str:
    return f"{quantity(parameters, sign)} par, {quantity(multiply_adds, sign)} mul-adds"


def _difference(parameters: int, multiply_adds: int) -> str:
    same = not parameters and not multiply_adds
    return "(the same)" if same else f"({_numbers(parameters, multiply_adds, '+')})"


def _needs(data: dict[str, Any]) -> list[str]:
    need = data["activation_bytes"]
    return [
        f"activations of one image, fp32:\n{need['training'] / 2**20:.1f} MiB in training, "
        f"{need['inference'] / 2**20:.1f} MiB in inference",
        f"receptive field {data['receptive_field']}",
        *([data["note"]] if data["note"] else []),
    ]


def _brackets(group: Group) -> str:
    """A unit's convolutions in the papers' brackets, times the number of units."""
    layers, count, rest = group_layers(group)
    width = max(map(len, layers), default=0)
    ends = _ends(len(layers))
    rows = [f"{left}{text:<{width}}{right}" for text, (left, right) in zip(layers, ends, strict=True)]
    if rows:
        rows[(len(rows) - 1) // 2] += f" x {count}"
    return "\n".join(rows + rest)


def _ends(height: int) -> list[tuple[str, str]]:
    if height < 2:
        return [("[", "]")] * height
    return [("⎡", "⎤"), *[("⎢", "⎥")] * (height - 2), ("⎣", "⎦")]


def _title(plan: Plan) -> str:
    return f"{visible(title(plan.spec))}, {plan.depth} layers, {plan.inputs.side}x{plan.inputs.side}"


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def of_texts(
    *columns: str, right: Iterable[str] = (), title: str | None = None, ruled: bool = False
) -> Table:
    """Return a table of texts, which are folded; columns named as `right` are set to the right."""
    table = Table(title=title, box=box.SIMPLE_HEAD, show_lines=ruled, title_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def of_numbers(*columns: str, left: Iterable[str] = ()) -> Table:
    """Return a table whose first column is text and whose others are numbers, unless they are named."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(columns):
        text = name in left or (place == 0 and not left)
        table.add_column(name, justify="left" if text else "right", overflow="fold", no_wrap=not text)
    return table
