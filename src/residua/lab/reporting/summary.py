"""Results to be kept beside a program's text: short pages of Markdown with figures, and a list of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from residua.errors import UserError
from residua.files import check_folder, write_text
from residua.lab.kept import keep, restore
from residua.lab.reporting import amounts, making, words
from residua.lab.reporting.drawings import drawings
from residua.lab.reporting.judged import Judged, judged
from residua.lab.reporting.records import Record
from residua.lab.reporting.svg import lean
from residua.lab.results import TABLE
from residua.text import markdown, visible

LIST = "README.md"
WHY = "\n## Why\n"
CLAIMS = ("claim", "place", "paper", "measured", "n", "verdict", "why")
SHOWN = 8  # quantities of a network, side by side


def write_summary(record: Record, into: Path, say: Callable[[str], object] = str) -> Path:
    """Write INTO/SCALE/NAME.md with its figures and the table of trials, and a list of all such pages.

    What is small of each finished trial is kept too, so that no other machine has to run it again; one whose
    folder is gone is taken from there. What was written by hand behind a heading "## Why" stays.
    """
    runs = [run for run in record.finished_runs if run.exists() or _restored(run, into, say)]
    folder = into / record.scale
    check_folder(folder, "written")
    trials = _table_of(record)
    figures = []
    for drawing in drawings(record):
        try:
            text = lean(drawing.paint())
        except UserError:  # matplotlib is missing: the page is one of tables
            continue
        file = f"{record.name}-{drawing.name}.svg"
        write_text(folder / file, text)
        figures.append(f"![{markdown(drawing.alt)}]({file})\n\n{markdown(drawing.caption)}")
    write_text(folder / f"{record.name}.csv", trials)
    for run in runs:
        if said := keep(run, into):
            say(said)
    page = folder / f"{record.name}.md"
    write_text(page, _page(record, figures) + _by_hand(page))
    write_text(into / LIST, _list(into) + _by_hand(into / LIST))
    return page


def _table_of(record: Record) -> str:
    path = record.folder / TABLE
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Run the experiment once more.") from None


def _restored(run: Path, into: Path, say: Callable[[str], object]) -> bool:
    """Take a trial from what is kept, or say that it is nowhere."""
    reason = f"it is not kept in {into}."
    try:
        if restore(run, into):
            return True
    except UserError as error:
        reason = str(error)
    say(f"{run} is gone, its curves are left out: {reason}")
    return False


def _by_hand(page: Path) -> str:
    """Return what people wrote into an earlier page."""
    before = page.read_text(encoding="utf-8") if page.exists() else ""
    _, heading, text = before.partition(WHY)
    return heading + text


def _page(record: Record, figures: Sequence[str]) -> str:
    claims = judged(record)
    looked = [
        (row.says, row.where, row.paper, row.measured, row.n or "", row.verdict, row.why)
        for row in claims
        if row.looked_at
    ]
    about = [f"- {name}: {markdown(text)}" for name, text in making.made(record)]
    command = making.command(record)
    parts = [
        f"# {markdown(record.result['title'])} ({record.scale})",
        markdown(" ".join(words.answer(record))),
        f"Question: {markdown(record.result['question'])}" if record.result["question"] else "",
        f"    {visible(command)}" if command else "",
        "\n".join([*about, f"- trials: {words.progress(record)} ([table]({record.name}.csv))"]),
        "## Paper against measured" if looked else "",
        markdown(words.HOW_MEASURED) if looked and record.trials else "",
        table(CLAIMS, looked) if looked else "",
        words.unmeasured(claims),
        *_elsewhere(claims),
        "## Networks",
        *_networks(record),
        *(["## Figures", *figures] if figures else []),
        "## What cannot be concluded",
        "\n".join(f"- {sentence}" for sentence in words.limits(record)),
        *(f"- {markdown(which)}: {markdown(why)}." for which, why in words.failures(record)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _elsewhere(claims: Sequence[Judged]) -> list[str]:
    """Return what is told wrongly elsewhere."""
    told = [f"{row.says} ({row.where}) Told elsewhere: {row.elsewhere}" for row in claims if row.elsewhere]
    return ["## Said elsewhere", "\n".join(f"- {markdown(text)}" for text in told)] if told else []


def _networks(record: Record) -> list[str]:
    """Return what every network is, and n, median and range of what was measured of it."""
    labels = [row["label"] for row in record.result["networks"]]
    sizes = [
        (
            row["label"],
            record.described(row["label"]),
            row["depth"],
            f"{row['parameters']:,}",
            f"{row['multiply_adds']:,}",
        )
        for row in record.result["networks"]
    ]
    tables = [table(("label", "network and edits", "depth", "parameters", "multiply-adds"), sizes)]
    for first in range(0, len(record.quantities), SHOWN):
        some = record.quantities[first : first + SHOWN]
        rows = [(label, *_measured(record, label, some)) for label in labels]
        tables.append(table(("label", "n", *map(amounts.in_words, some)), rows))
    return tables


def _measured(record: Record, label: str, quantities: Sequence[str]) -> list[object]:
    found = record.result["summary"].get(label, {})
    n = max((each["n"] for each in found.values()), default=0)
    return [n, *(amounts.spread(found.get(name), name) for name in quantities)]


def _list(into: Path) -> str:
    """List every page there is by its title and its answer."""
    lines = [
        "# What was run in the lab",
        "",
        "Written by `residua lab report --into`; each page says how.",
        "",
    ]
    for page in sorted(into.glob("*/*.md")):
        title, _, rest = page.read_text(encoding="utf-8").partition("\n\n")
        answer = rest.partition("\n\n")[0]
        lines.append(f"- [{title.removeprefix('# ')}]({page.relative_to(into).as_posix()}): {answer}")
    return "\n".join(lines) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(markdown(str(cell)) for cell in line) + " |" for line in lines)
