"""Folders of runs as a training leaves them, without the training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

import residua
from residua.data.sources.table import write_table
from residua.judging.evaluated import Evaluation
from residua.judging.figures.calibration import calibrated
from residua.judging.figures.outcomes import empty_outcomes, fill
from residua.judging.figures.temperature import Kept
from residua.judging.model import load
from residua.nets.zoo import spec
from residua.weights.metadata import ClassEntry, Metadata, Preprocessing
from residua.weights.modelfile import write_model

RULE = Preprocessing(size=16, resize=16, channels="rgb", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def judged(
    names: Sequence[str], labels: Sequence[int], classes: Sequence[str], hard: float = 3.0
) -> Evaluation:
    """The evaluation of a network that is often right; the harder, the less often."""
    truth = np.array(labels, np.int32)
    draws = torch.Generator().manual_seed(3)
    logits = hard * torch.randn(len(truth), len(classes), generator=draws)
    logits[torch.arange(len(truth)), torch.from_numpy(truth).long()] += 6
    outcomes, kept = empty_outcomes(tuple(classes), names, truth), Kept(truth, len(classes))
    fill(outcomes, 0, logits, 1.0)
    kept.add(0, logits)
    return Evaluation(
        model="best.safetensors",
        data="photos",
        part="val",
        chosen_by="as split.csv says",
        views="one",
        views_are="one view",
        outcomes=outcomes,
        calibration=calibrated(outcomes, kept, 1.0),
    )


def lines(passes: int) -> list[dict[str, Any]]:
    """Metrics of a training that goes well."""
    return [
        {
            "epoch": epoch,
            "step": 4 * epoch,
            "train_loss": 2.0 / epoch,
            "lr": 0.1 / epoch,
            "images_per_second": 100.0 + epoch,
            "val_loss": 2.5 / epoch,
            "val_top1": 100 - 80 / epoch,
            "val_top5": 100 - 10 / epoch,
            "val_macro_f1": 100 - 85 / epoch,
        }
        for epoch in range(1, passes + 1)
    ]


def write_run(
    folder: Path,
    classes: Sequence[str] = ("cat", "dog", "owl", "fox", "hen", "cow"),
    data: str = "gone",
    held_out: int = 8,
    paths: Sequence[str] | None = None,
) -> Path:
    """Write a finished run's folder; so many pictures of each class are held out, and twice as many not."""
    folder.mkdir(parents=True, exist_ok=True)
    every = [(label, number) for label in range(len(classes)) for number in range(3 * held_out)]
    names = list(paths or (f"{classes[label]}/{number}.png" for label, number in every))
    parts = ["val" if number < held_out else "train" for _, number in every]
    judges = [place for place, part in enumerate(parts) if part == "val"]
    found = judged([names[place] for place in judges], [every[place][0] for place in judges], classes)
    rows = [(names[place], classes[label], parts[place]) for place, (label, _) in enumerate(every)]
    write_table(folder / "split.csv", [("path", "label", "split"), *rows])
    write_table(folder / "bad_images.csv", [("path", "reason"), ("cat/bad.png", "it is cut off")])
    (folder / "classes.json").write_text(json.dumps(list(classes)))
    (folder / "config.yaml").write_text(yaml.safe_dump(config(data, len(classes))))
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines(5)))
    (folder / "summary.json").write_text(json.dumps({"model": "tiny_resnet", "data": data}))
    (folder / "env.json").write_text(json.dumps({"started": "2026-01-02T03:04:05+00:00", "residua": "0.1.0"}))
    sizes = {
        "width": {"min": 20, "median": 30.0, "max": 40},
        "height": {"min": 20, "median": 20.0, "max": 20},
    }
    finding = {"title": "Unreadable pictures", "count": 1, "remedy": "They are left out.", "serious": True}
    (folder / "data.json").write_text(json.dumps({"sizes": sizes, "findings": [finding]}))
    write_best(folder / "best.safetensors", classes)
    found = replace(found, digest=load(folder / "best.safetensors").digest)
    (folder / "evaluation.json").write_text(json.dumps(found.as_json()))
    return folder


def config(data: str, classes: int) -> dict[str, Any]:
    """Settings, as far as a report looks at them."""
    return {
        "data": data,
        "root": None,
        "spec": {"name": "tiny_resnet", "num_classes": classes},
        "recipe": {"name": "fast", "learning_rate": 0.1},
        "steps": 20,
        "epoch_steps": 4,
    }


def write_best(path: Path, classes: Sequence[str]) -> None:
    """Write a model that was never trained."""
    network = spec("tiny_resnet", num_classes=len(classes), input_size=16)
    with torch.random.fork_rng(()):
        torch.manual_seed(0)
        state = residua.create(network).state_dict()
    entries = tuple(ClassEntry(id=f"c{place}", name=name) for place, name in enumerate(classes))
    write_model(path, state, Metadata(spec=network, classes=entries, preprocessing=RULE))
