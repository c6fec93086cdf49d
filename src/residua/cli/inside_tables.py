"""What was measured inside a network, for people at a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from residua.cli import tables

if TYPE_CHECKING:
    from residua.lab.inside.gradients import Gradients
    from residua.lab.inside.lesions import Lesions, RandomLesions
    from residua.lab.inside.paths import Paths
    from residua.lab.inside.responses import Responses
    from residua.lab.inside.subject import Subject


def show(measured: Subject, found: RenderableType) -> None:
    """Print what was measured, of which network and by which pictures."""
    about = measured.as_json()
    pictures = f"{about['samples']:,} pictures of {about['data']} ({about['part']})"
    tables.show(Group(Text(f"{measured.title}, {pictures}", style="bold"), found))


def lesions(each: Lesions, at_random: RandomLesions, swaps: RandomLesions | None) -> RenderableType:
    """Return the error without each unit, without several, and with pairs swapped."""
    rows = [
        [
            unit.name,
            "cannot be" if unit.error is None else f"{unit.error:.2f}",
            "" if unit.error is None else f"{unit.error - each.error:+.2f}",
        ]
        for unit in each.units
    ]
    parts: list[RenderableType] = [
        Text(f"error of the whole network: {each.error:.2f}%"),
        _table(["unit left out", "error %", "change"], rows),
        _table(["left out at random", "median error %", "quartiles"], _drawn(at_random)),
    ]
    if swaps:
        parts.append(_table(["pairs swapped", "median error %", "quartiles", "Kendall's tau"], _drawn(swaps)))
    return Group(*parts)


def _drawn(found: RandomLesions) -> list[list[str]]:
    rows = []
    for row in found.rows:
        low, middle, high = row.quartiles
        tau = [] if row.tau is None else [f"{row.tau:.2f}"]
        rows.append([str(row.count), f"{middle:.2f}", f"{low:.2f} to {high:.2f}", *tau])
    return rows


def paths(found: Paths) -> RenderableType:
    """Return paths and gradient by length, and the effective paths in a sentence."""
    low, high = found.effective
    rows = [
        [
            f"{each.length}{' *' if low <= each.length <= high else ''}",
            f"{each.paths:,}" if each.paths < 10**9 else f"{each.paths:.2e}",
            f"{each.magnitude:.3e}",
            f"{each.share:.2%}",
        ]
        for each in found.lengths
    ]
    sentence = (
        f"* Paths of {low} to {high} residuals, {found.effective_share:.3%} of all, carry "
        f"{found.share:.0%} of the gradient."
    )
    return Group(_table(["length", "paths", "gradient of one", "share of all"], rows), Text(sentence))


def responses(found: Responses) -> RenderableType:
    """Return each layer's response, and where it was measured."""
    rows = [
        [layer.layer, f"{layer.deviation:.4f}", f"{layer.mean:.4f}", f"the {layer.measured}"]
        for layer in found.layers
    ]
    return _table(["layer", "deviation", "mean", "measured behind"], rows)


def gradients(found: Gradients) -> RenderableType:
    """Return each unit's gradient and its two terms."""
    from residua.lab.inside.gradients import predicted_norms

    titles = ["unit", "norm of dE/dx", "near zero", "predicted", "direct", "through weights"]
    rows = []
    for unit, predicted in zip(found.units, predicted_norms(found), strict=True):
        row = [unit.name, f"{unit.norm:.3e}", f"{unit.near_zero:.1%}"]
        if unit.terms:
            mark = "" if unit.terms.exact else " ~"
            row += [f"{predicted:.3e}", f"{unit.terms.direct:.3e}{mark}"]
            row += [f"{unit.terms.through:.3e}"]
        rows.append(row + [""] * (len(titles) - len(row)))
    notes = []
    if any(unit.terms and not unit.terms.exact for unit in found.units):
        notes.append("~ The papers' sum does not hold here: something else follows on the shortcut's way.")
    if any(unit.terms is None for unit in found.units):
        notes.append("Units without terms change the shape, or have no shortcut that is x or a part of it.")
    return Group(_table(titles, rows), *map(Text, notes))


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    table = tables.of_numbers(*titles)
    for row in rows:
        table.add_row(*row)
    return table
