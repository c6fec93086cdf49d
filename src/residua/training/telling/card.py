"""The model card: what a trained model is, what it is worth and where its limits are, for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from residua import __version__
from residua.data.dataset import Data
from residua.files import write_text
from residua.judging.runfiles import BEST, LAST
from residua.text import markdown, markdown_line
from residua.training.settings import Settings

NAME = "MODEL_CARD.md"
SHOWN = 200  # classes

TEMPLATE = """\
# {model}, trained on {data}

An image classifier of {classes:,} classes. It was trained with Residua {version} by the recipe `{recipe}`,
from {start}.

## What it is worth

{figures}

These are figures of {val:,} pictures that it did not learn from, but by which the best of {epochs:,}
passes was chosen; on new pictures of the same kind it will do slightly worse, on other kinds maybe much
worse.

## How to use it

```python
import residua

model = residua.load("{file}")
print(model.predict(pixels))  # 8-bit pixels (height, width, channels)
```

Everything it needs is in that one file: weights, classes, and the preprocessing: pictures are brought to
{size}x{size} pixels by the rule `{rule}`, in {channels}.

## What it learned from

{train:,} pictures of {data}; `split.csv` names {them}, `bad_images.csv` those that cannot be read.

## Limits

- It knows only the classes below, and answers with one of them for any picture whatever.
- Its probabilities have not been calibrated.
- What is rare, or wrongly labelled, in the pictures that it learned from is learned as it is there.

## Settings

{steps:,} updates of {batch} pictures, seed {seed}, on {device} in {precision}. `config.yaml` has all
settings, `env.json` the versions, `metrics.jsonl` every pass.

## Classes

{names}
"""


def write_card(folder: Path, settings: Settings, data: Data, summary: dict[str, Any]) -> None:
    """Write the card of a finished training."""
    text = TEMPLATE.format(
        **{name: summary[name] for name in ("model", "recipe", "val", "epochs", "train", "steps")},
        data=markdown(settings.data),
        classes=len(data.classes),
        version=__version__,
        file=LAST if summary["best"] is None else BEST,
        them="those that they were drawn from" if settings.limit else "them",
        start="scratch" if settings.weights == "none" else f"the weights {markdown(settings.weights)}",
        figures=_figures(summary),
        size=settings.preprocessing.size,
        rule=settings.preprocessing.rule,
        channels=settings.preprocessing.channels,
        batch=settings.recipe.batch,
        seed=settings.seed,
        device=settings.device,
        precision=settings.precision,
        names=_names(data),
    )
    write_text(folder / NAME, text)


def _figures(summary: dict[str, Any]) -> str:
    scores = summary["best_scores"]
    titles = {"val_top1": "top-1 accuracy", "val_top5": "top-5 accuracy", "val_macro_f1": "macro F1"}
    known = {title: scores[name] for name, title in titles.items() if scores[name] is not None}
    rows = [f"| {title} | {score:.2f} % |" for title, score in known.items()]
    return "\n".join(["| | held out |", "|---|---|", *rows])


def _names(data: Data) -> str:
    lines = [f"{place}. {markdown_line(name)}" for place, name in enumerate(data.classes[:SHOWN])]
    more = len(data.classes) - SHOWN
    return "\n".join([*lines, f"\nand {more:,} more"] if more > 0 else lines)
