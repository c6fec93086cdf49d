"""Results to be kept beside a program's text: short pages of Markdown with figures, and a list of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from residua.errors import UserError
from residua.files import check_folder, write_text
from residua.lab.kept import keep, restore
from residua.lab.reporting import amounts, making, words
from residua.lab.reporting.drawings import drawings
from residua.lab.reporting.judged import judged
from residua.lab.reporting.records import Record
from residua.lab.reporting.svg import lean
from residua.lab.results import TABLE
from residua.text import markdown, visible

LIST = "README.md"
WHY = "\n## Why\n"
CLAIMS = ("claim", "place", "paper", "measured", "n", "verdict", "why")
SHOWN = 8  # quantities of a network


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
        "## Networks",
        _networks(record),
        *(["## Figures", *figures] if figures else []),
        "## What cannot be concluded",
        "\n".join(f"- {sentence}" for sentence in words.limits(record)),
        *(f"- {markdown(which)}: {markdown(why)}." for which, why in words.failures(record)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _networks(record: Record) -> str:
    """Return n, median and range of every network."""
    quantities = record.quantities[:SHOWN]
    rows = []
    for row in record.result["networks"]:
        found = record.result["summary"].get(row["label"], {})
        n = max((each["n"] for each in found.values()), default=0)
        counted = (row["depth"], f"{row['parameters']:,}", f"{row['multiply_adds']:,}")
        cells = [amounts.spread(found.get(name), name) for name in quantities]
        rows.append(
            (row["label"], record.described(row["label"]), *counted, *([n, *cells] if quantities else []))
        )
    named = ["n", *map(amounts.in_words, quantities)] if quantities else []
    return table(("label", "network and edits", "depth", "parameters", "multiply-adds", *named), rows)


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
