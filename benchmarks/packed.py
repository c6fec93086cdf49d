"""Packed photos against the textbook pipeline from files, interleaved in one run, on one core.

    python benchmarks/packed.py FOLDER [--rounds 11]

Packed: shorter side 256, read at random, a random crop resized to 224, flipped at random, normalised to
float32, through the `Loader` in batches of 32. Textbook: Pillow opens, RGB, shorter side to 256, central 224,
NumPy, / 255, normalised. CPU time for each photo: medians, and the quartiles of the pairs' ratio.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from residua.data.ahead import processors
from residua.data.augmentation import AUGMENTATIONS, Augmentation
from residua.data.dataset import Data
from residua.data.loading.loader import Loader
from residua.data.packing.writing import pack
from residua.data.pictures import Files
from residua.weights.metadata import Preprocessing

RULE = Preprocessing()
MEAN, STD = (np.array(values, np.float32) for values in (RULE.mean, RULE.std))


def photos(folder: Path) -> Data:
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))
    labels, parts = np.zeros(len(names), np.int32), np.zeros(len(names), np.int8)
    return Data(str(folder), "folder", ("a photo",), names, labels, parts, Files(folder, names))


def textbook(path: Path) -> torch.Tensor:
    image = Image.open(path).convert("RGB")
    short = min(image.size)
    image = image.resize((256 * image.width // short, 256 * image.height // short), Image.Resampling.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
    return torch.from_numpy(((pixels - MEAN) / STD).transpose(2, 0, 1))


def epochs(data: Data, augmentation: Augmentation, workers: int = 0) -> Callable[[], None]:
    loader = Loader(
        data, np.arange(len(data)), RULE, 32, shuffle=True, augmentation=augmentation, workers=workers
    )
    numbers = count()

    def epoch() -> None:
        for batch in loader.epoch(next(numbers)):
            batch.inputs()

    return epoch


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    start = clock()
    work()
    return clock() - start


def compare(data: Data, packed: Data, folder: Path, rounds: int) -> None:
    works: dict[str, Callable[[], object]] = {
        "textbook from files": lambda: [textbook(folder / name) for name in data.names],
        "packed, random crop and flip": epochs(packed, AUGMENTATIONS["photo"]),
        "packed, as judging sees it": epochs(packed, Augmentation()),
        "files, random crop and flip": epochs(data, AUGMENTATIONS["photo"]),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            took = seconds(work) / len(data)
            if turn:  # the first warms up
                times[name].append(took)
    for name, spent in times.items():
        ratios = [hand / own for hand, own in zip(times["textbook from files"], spent, strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4)
        print(f"{name:30}{1e3 * statistics.median(spent):7.3f} ms   {median:5.1f}x ({low:.1f} to {high:.1f})")
    print(f"n = {rounds} rounds of {len(data)} photos")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = photos(options.folder)
    with tempfile.TemporaryDirectory() as folder:
        packed = pack(data, Path(folder) / "packed", side=256)
        compare(data, packed, options.folder, options.rounds)
    for workers in (1, 2):
        epoch = epochs(data, AUGMENTATIONS["photo"], workers)
        rates = [len(data) / seconds(epoch, time.perf_counter) for _ in range(options.rounds)]
        low, median, high = statistics.quantiles(rates, n=4)
        print(f"files, {workers} of {processors()} cores: {median:.0f} photos/s ({low:.0f} to {high:.0f})")


if __name__ == "__main__":
    main()
