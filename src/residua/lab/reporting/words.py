"""An experiment in sentences: what is to be said to its question, and what is not."""

from __future__ import annotations

from collections.abc import Sequence

from residua.lab.reporting.judged import Judged
from residua.lab.reporting.records import Record, Values
from residua.lab.verdicts import FAILS, HOLDS, OPEN, REMARK, UNTRAINED

QUOTED = 3  # claims that an answer repeats in words
HOW_MEASURED = (
    "Of an order (“A < B”) both medians are shown, and the mean of the second less the first, in runs of one "
    "seed; in brackets the 95% interval of the mean; n are seeds. Where the verdict is “beside”, the paper's "
    "number is of another scale or other data. A bound of ours is none of the paper's."
)
HOW_TO_READ = (
    "An order (“A is better than B”) is judged by the differences between runs of the same seed: it holds "
    "if the 95% interval of their mean lies above 0, does not hold if it lies below, and else is not "
    "decided. The interval is Student's over the seeds, helped by how much the seeds of other networks with "
    "about such values differ, and widened, where it is known which pictures were missed, by what other "
    "pictures might have made of it. Runs that do not differ at all decide nothing.",
    "A number is judged at scale paper on pictures such as the paper's only; elsewhere it stands beside what "
    "was measured, and that is no comparison. A bound is judged by the side on which the interval lies.",
    "What is only counted must agree to the digits printed, rounded or cut off.",
    "Each order is judged by itself: of twenty that are none, up to one will seem to be decided.",
)
LIMITS = {
    "quick": (
        "Small pictures of digits, a few passes and shallow networks show that everything works, and little "
        "of what the papers saw: whatever was decided here may be otherwise with deeper networks, longer "
        "training or harder pictures.",
    ),
    "small": (
        "A few passes are a twentieth of the papers' training: errors are larger than theirs, and networks "
        "that learn slowly at first look worse than they are in the end.",
        "Networks of at most 56 layers say nothing of what happens at 110 or 1001.",
    ),
    "paper": (
        "If the held-out pictures are a part of the training ones, the networks learned from fewer pictures "
        "than the papers' did.",
    ),
}


def answer(record: Record) -> list[str]:
    """Answer the question in a few sentences, by the verdicts."""
    by_word = {
        word: [row for row in record.claims if row["verdict"] == word] for word in (HOLDS, FAILS, OPEN)
    }
    judged = sum(map(len, by_word.values()))
    if not judged:
        return [f"Nothing can be judged {'so far' if not record.result['complete'] else 'at this scale'}."]
    so_far = "" if record.result["complete"] else "So far: "
    parts = [f"{len(rows)} {_verb(word, len(rows))}" for word, rows in by_word.items() if rows]
    claims = "claim" if judged == 1 else "claims"
    sentences = [
        f"{so_far}of {judged} {claims} that can be judged at scale {record.scale}, {_listed(parts)}."
    ]
    sentences[0] = sentences[0][0].upper() + sentences[0][1:]
    if ours := sum(bool(row["claim"].get("ours")) for rows in by_word.values() for row in rows):
        sentences.append(
            f"{ours} of these {'is' if ours == 1 else 'are'} the lab's own, or judged by a bound of its own."
        )
    for word, beginning in ((FAILS, "Not borne out"), (HOLDS, "Borne out")):
        if rows := by_word[word]:
            sentences.append(f"{beginning}: {_quoted(rows)}")
    return sentences


def _verb(word: str, count: int) -> str:
    if word == OPEN:
        return "is not decided" if count == 1 else "are not decided"
    if word == FAILS:
        return "does not hold" if count == 1 else "do not hold"
    return "holds" if count == 1 else "hold"


def _quoted(rows: Sequence[Values]) -> str:
    said = [f"“{row['claim']['says'].rstrip('.')}”" for row in rows[:QUOTED]]
    more = f", and {len(rows) - QUOTED} more" if len(rows) > QUOTED else ""
    return "; ".join(said) + more + "."


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def counted(record: Record) -> str:
    """Say in short how the verdicts fall."""
    words = [row["verdict"] for row in record.claims]
    parts = [f"{count} {_verb(word, count)}" for word in (HOLDS, FAILS, OPEN) if (count := words.count(word))]
    return ", ".join(parts) or "nothing judged"


def progress(record: Record) -> str:
    """Say how much of it is done."""
    if not record.trials:
        return "counted, nothing is trained"
    done = f"{record.finished:,} of {len(record.trials):,} trainings"
    return f"{len(record.trials):,} trainings" if record.result["complete"] else f"{done} so far"


def failures(record: Record) -> list[tuple[str, str]]:
    """Return which trials failed or left updates out, and why."""
    found = []
    for row in record.trials:
        which = f"{row['label']}, seed {row['seed']}"
        if row["reason"]:
            found.append((which, str(row["reason"])))
        if row["skipped"]:
            found.append((which, f"{row['skipped']:,} updates were left out, as the loss was no number"))
    return found


def unmeasured(claims: Sequence[Judged]) -> str:
    """Say of how many claims nothing was measured, and of how many nothing ever is."""
    why = [row.why for row in claims if not row.looked_at]
    remarks, untrained = why.count(REMARK), why.count(UNTRAINED)
    kinds = {
        "at this scale": len(why) - remarks - untrained,
        "without a training at any": untrained,
        "by way of remark": remarks,
    }
    parts = [f"{count} {kind}" for kind, count in kinds.items() if count]
    return f"Claims of which nothing was measured: {_listed(parts)}." if parts else ""


def limits(record: Record) -> list[str]:
    """Say what cannot be concluded at this scale."""
    if not record.trials:
        return ["Counts say nothing of how good a network is, and multiply-adds little of how fast it runs."]
    sentences = list(LIMITS.get(record.scale, ()))
    if record.seeds < 2:
        sentences.append("With one seed there is no spread, so no order is decided.")
    elif record.seeds <= 3:
        sentences.append(
            f"With {record.seeds} seeds only differences that are large, and much the same in each, can be "
            "decided: “not decided” does not mean that there is none."
        )
    return sentences
