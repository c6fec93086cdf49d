"""A training in sentences: how good the network is, on what that was measured, and what it cannot do."""

from __future__ import annotations

from residua.judging.figures.calibration import Calibration
from residua.judging.reporting.judged import FEW, Judged
from residua.judging.reporting.records import Records

LEANINGS = {
    "over-confident": "It is over-confident: surer of itself than it is right.",
    "under-confident": "It is under-confident: less sure of itself than it is right.",
    "fitting": "It is about as sure of itself as it is right.",
    "undetermined": "Whether it is too sure of itself cannot be told from these pictures.",
}


def verdict(judged: Judged) -> str:
    """Say in one sentence how good the network is."""
    return (
        f"The network names {judged.right:,} of {judged.samples:,} held-out pictures correctly, "
        f"{judged.top1:.1f}%: {_about(judged)}."
    )


def unfinished(run: Records) -> str:
    """Say how far a training has come that is not over."""
    done = len(run.passes)
    of = f" of {-(-run.steps // run.epoch_steps):,}" if run.steps and run.epoch_steps else ""
    passes = "pass" if done == 1 and not of else "passes"
    return f"The training is not over: {done:,}{of} {passes} are done, and figures are of the best so far."


def _about(judged: Judged) -> str:
    """Say a share as people do."""
    if not judged.wrong:
        return "not one is wrong"
    if not judged.right:
        return "not one is right"
    less, named = min((judged.wrong, "wrong"), (judged.right, "right"))
    one_in = round(judged.samples / less)
    return f"about every second one is {named}" if one_in == 2 else f"about one in {one_in:,} is {named}"


def measured(judged: Judged, run: Records) -> str:
    """Say on what that was measured, and how sure it is."""
    low, high = judged.interval
    passes = len(run.passes)
    chosen = f"the best of {passes:,} passes was chosen by them" if passes > 1 else "it was chosen by them"
    return (
        f"Of all such pictures it would name between {low:.1f}% and {high:.1f}% correctly (95% interval). "
        f"{_beside_none(judged)} It did not learn from these pictures, but {chosen}: expect slightly less on "
        "new pictures of the same kind."
    )


def _beside_none(judged: Judged) -> str:
    """Hold it against what can be had without looking at a picture."""
    if judged.interval[0] > judged.baseline:
        return f"Always naming the most frequent class would get {judged.baseline:.1f}%."
    return (
        "It has not been shown to be better than always naming the most frequent class, "
        f"which would get {judged.baseline:.1f}%."
    )


def believed(found: Calibration) -> list[str]:
    """Say whether its probabilities can be believed."""
    error = f"{100 * found.ece:.1f} points off on average (expected calibration error)."
    sentences = [f"Its probabilities are {error}", LEANINGS[found.leaning]]
    if found.best_temperature is not None and found.best_ece is not None:
        sentences.append(_temperature(found, found.best_temperature, found.best_ece))
    return sentences


def _temperature(found: Calibration, best: float, left: float) -> str:
    """Say whether another temperature would make the probabilities truer."""
    own = found.temperature
    said = f"The temperature that fits these pictures best is {best:.2f}, the model's is {own:.2f}"
    if left < found.ece:
        return (
            f"{said}: it would leave {100 * left:.1f} points (residua evaluate --store-temperature writes it "
            "into the model)."
        )
    return f"{said}: with {100 * left:.1f} points it would be no truer."


def mistakes(judged: Judged) -> str:
    """Say which wrong names are shown, and how."""
    shown = _shown(len(judged.mistakes), judged.wrong, "wrongly named picture")
    return (
        f"{shown}, where the network held the label to be least likely; beside each where it looked: the "
        "brighter, the more that place spoke for what it said. It did not see what is faded."
    )


def label_errors(judged: Judged) -> str:
    """Say which labels are shown, and why."""
    shown = _shown(len(judged.label_errors), judged.label_error_count, "held-out picture")
    return f"{shown} where the network is so sure of another class that the label may be what is wrong."


def _shown(shown: int, count: int, name: str) -> str:
    if shown < count:
        return f"The first {shown:,} of {count:,} {name}s"
    return f"The one {name}" if count == 1 else f"The {count:,} {name}s"


def limits(judged: Judged | None, run: Records) -> list[str]:
    """Say what the network cannot do."""
    count = len(run.classes)
    known = f"the {count:,} classes" if count else "the classes"
    sentences = [f"It knows {known} that it was trained on, and names one of them for any picture whatever."]
    if judged:
        sentences += _weak(judged)
    sentences += [
        "What is rare, or wrongly labelled, in the pictures that it learned from is learned as it is there.",
        "Pictures from another camera, place or time may be harder for it than these figures say: "
        "judge it on such pictures first (residua evaluate).",
    ]
    return sentences


def _weak(judged: Judged) -> list[str]:
    sentences = []
    if judged.absent:
        plural = "class has" if judged.absent == 1 else "classes have"
        sentences.append(
            f"{judged.absent:,} {plural} no held-out picture: nothing is known of how good it is there."
        )
    if judged.few:
        plural = "class has" if judged.few == 1 else "classes have"
        sentences.append(
            f"{judged.few:,} {plural} fewer than {FEW} held-out pictures: those figures say little."
        )
    weak = [row for row in judged.ranked if row.recall is not None and row.recall < 50]
    if weak:
        plural = "class" if len(weak) == 1 else "classes"
        sentences.append(f"It misses more than half of the pictures of {len(weak):,} {plural}.")
    return sentences
