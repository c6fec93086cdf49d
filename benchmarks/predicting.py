"""`model.predict` on a folder against a loop written by hand with a DataLoader, interleaved in one run.

    python benchmarks/predicting.py FOLDER [--model resnet18] [--batch 32] [--rounds 5] [--repeat 1]

By hand: Pillow opens, resizes the shorter side to 256 and takes the middle 224, torch scales it; a DataLoader
with 0, 1 or 2 workers makes batches, the same network gives logits in `inference_mode`, and the five best
classes are taken. Of the numbers of workers the best of each round counts. Both name every file.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import residua
from residua.judging.model import Model
from residua.weights.metadata import ClassEntry, Metadata, Preprocessing

RULE = Preprocessing()
MEAN, STD = (torch.tensor(values).view(3, 1, 1) for values in (RULE.mean, RULE.std))
WORKERS = 0, 1, 2


class Photos(Dataset[tuple[Tensor, str]]):
    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> tuple[Tensor, str]:
        with Image.open(self.files[place]) as image:
            photo = image.convert("RGB")
        short = min(photo.size)
        size = (256 * photo.width // short, 256 * photo.height // short)
        photo = photo.resize(size, Image.Resampling.BILINEAR)
        left, top = round((photo.width - 224) / 2), round((photo.height - 224) / 2)
        pixels = np.array(photo.crop((left, top, left + 224, top + 224)))
        return (torch.from_numpy(pixels).permute(2, 0, 1).float() / 255 - MEAN) / STD, str(self.files[place])


def by_hand(model: Model, files: list[Path], batch: int, workers: int) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    with torch.inference_mode():
        for x, names in DataLoader(Photos(files), batch, num_workers=workers):
            places = model.network(x).softmax(1).topk(5).indices
            found += zip(names, places[:, 0].tolist(), strict=True)
    return found


def ours(model: Model, files: list[Path], batch: int, _: int) -> list[tuple[str, int]]:
    return [(each.path, int(each.prediction.id)) for each in model.predict(files, batch=batch)]


def seconds(work: Any, *given: Any) -> float:
    start = time.perf_counter()
    work(*given)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=1, help="how often each photo comes")
    options = parser.parse_args()
    files = sorted(file for file in options.folder.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg"))
    files *= options.repeat
    torch.manual_seed(0)
    network = residua.create(options.model).eval()
    classes = tuple(ClassEntry(id=str(place), name=f"class {place}") for place in range(1000))
    model = Model(network, Metadata(spec=network.spec, classes=classes, preprocessing=RULE))
    ratios, rows = [], []
    for turn in range(options.rounds + 1):
        ways = [(by_hand, workers) for workers in WORKERS] + [(ours, 0)]
        spent = {
            (way, workers): seconds(way, model, files, options.batch, workers)
            for way, workers in (ways if turn % 2 else reversed(ways))
        }
        if turn:  # the first reads the disk
            mine = spent.pop((ours, 0))
            ratios.append(min(spent.values()) / mine)
            rows.append([*(spent[by_hand, workers] for workers in WORKERS), mine])
    low, middle, high = statistics.quantiles(ratios, n=4)
    *theirs, mine = (len(files) / statistics.median(column) for column in zip(*rows, strict=True))
    print(f"{options.model}, {len(files)} photos, batch {options.batch}, n = {options.rounds}")
    for workers, rate in zip(WORKERS, theirs, strict=True):
        print(f"  by hand, {workers} workers: {rate:.1f} photos/s")
    print(
        f"  residua: {mine:.1f} photos/s, {middle:.2f} times the best of each round ({low:.2f} to {high:.2f})"
    )


if __name__ == "__main__":
    main()
