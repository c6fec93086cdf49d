"""The error on held-out pictures after each pass of `fast`, of some seeds, as a table and a figure.

    python benchmarks/fast.py docs/fast/cifar_resnet20-seed[0-2].jsonl --out docs/fast/curve.svg

Each file is a run's `metrics.jsonl`: `residua train CIFAR --model cifar_resnet20 --recipe fast --seed N`.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from residua.lab.inside.style import LOOKS, curve, finish, logarithmic, panels, save_figure, styled

PAPER = 8.75  # percent on the test set, after about 164 passes
Curve = list[float]


def errors(path: Path) -> Curve:
    """Read the error in percent after each pass."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [100 - line["val_top1"] for line in lines if line["val_top1"] is not None]


@styled
def draw(curves: dict[str, Curve], out: Path) -> None:
    """Draw error against passes, and the paper's error beside them."""
    figure, (axes,) = panels(1)
    for (name, errors), look in zip(curves.items(), LOOKS, strict=False):
        curve(axes, range(1, len(errors) + 1), errors, look, name)
    axes.axhline(PAPER, color="black", linewidth=1)
    axes.annotate(f"the paper's {PAPER}%, after 164 passes", (1, PAPER), (0, 4), textcoords="offset points")
    logarithmic(axes)
    finish(axes, "passes over the training pictures", "error on held-out pictures, %", "")
    axes.legend()
    save_figure(figure, out)


def main() -> None:
    """Print the table, and draw the figure if that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    curves = {path.stem.rpartition("-")[2].replace("seed", "seed "): errors(path) for path in options.files}
    for name, each in curves.items():
        print(f"{name}: {each[-1]:.2f}% after {len(each)} passes")
    last = [each[-1] for each in curves.values()]
    spread = statistics.stdev(last) if len(last) > 1 else 0.0
    print(f"mean {statistics.mean(last):.2f}%, standard deviation {spread:.2f}, n = {len(last)}")
    if options.out:
        draw(curves, options.out)


if __name__ == "__main__":
    main()
