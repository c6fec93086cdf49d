"""From a photo's file to a network's input against the textbook's way, interleaved in one run on one thread.

    python benchmarks/decoding.py FOLDER [--rounds 7] [--gap 2]

Textbook: Pillow opens, converts to RGB, resizes the shorter side to 256 and takes the middle 224; NumPy
scales and normalises. Residua: `decode`, `preprocess`. Both on the folder's photos as they are, and on copies
of 4000 x 3000 pixels of the first 24 (JPEG, quality 90), made in a temporary folder. Times are of the
CPU. The gap is how many times larger than needed a photo that is decoded small stays: 99 is in full.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from residua.data import decoding
from residua.data.decoding import decode
from residua.weights.metadata import Preprocessing
from residua.weights.preprocessing import preprocess

RULE = Preprocessing()
MEAN, STD = (np.array(values, dtype=np.float32) for values in (RULE.mean, RULE.std))
Input = NDArray[np.float32]


def textbook(file: Path) -> Input:
    with Image.open(file) as image:
        photo = image.convert("RGB")
    short = min(photo.size)
    photo = photo.resize((256 * photo.width // short, 256 * photo.height // short), Image.Resampling.BILINEAR)
    left, top = round((photo.width - 224) / 2), round((photo.height - 224) / 2)
    pixels = np.asarray(photo.crop((left, top, left + 224, top + 224)), dtype=np.float32) / 255
    return np.ascontiguousarray(((pixels - MEAN) / STD).transpose(2, 0, 1))


def ours(file: Path) -> Input:
    pixels = torch.from_numpy(decode(file, file.name, needed=RULE.resized))
    return preprocess(pixels.movedim(-1, 0)[None], RULE)[0].numpy()


def seconds(work: Callable[[Path], Input], files: list[Path]) -> float:
    start = time.process_time()
    for file in files:
        work(file)
    return time.process_time() - start


def large(files: list[Path], folder: Path) -> list[Path]:
    """Copies of the size that a camera of 12 megapixels gives."""
    copies = []
    for file in files[:24]:
        with Image.open(file) as image:
            photo = ImageOps.exif_transpose(image).convert("RGB")
        size = (4000, 3000) if photo.width > photo.height else (3000, 4000)
        copies.append(folder / f"{file.stem}.jpg")
        ImageOps.fit(photo, size, Image.Resampling.BICUBIC).save(copies[-1], quality=90)
    return copies


def upright(file: Path) -> bool:
    with Image.open(file) as image:
        return 0x0112 not in image.getexif() or image.getexif()[0x0112] == 1


def alone(work: Callable[..., Any], *given: Any) -> Any:
    """Work in a new process: memory that earlier work left behind makes the textbook 1.7 times faster."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(work, *given).result()


def measure(title: str, files: list[Path], rounds: int, gap: int) -> None:
    torch.set_num_threads(1)
    decoding.DRAFT_GAP = gap
    ratios, times = [], []
    for turn in range(rounds + 1):
        order = (textbook, ours) if turn % 2 else (ours, textbook)
        spent = {work: seconds(work, files) / len(files) for work in order}
        if turn:  # the first reads the disk
            ratios.append(spent[textbook] / spent[ours])
            times.append((spent[textbook], spent[ours]))
    low, middle, high = statistics.quantiles(ratios, n=4)
    theirs, mine = (1000 * statistics.median(column) for column in zip(*times, strict=True))
    print(f"{title}: {len(files)} files, n = {rounds}")
    print(f"  textbook {theirs:.2f} ms, residua {mine:.2f} ms, ratio {middle:.2f} ({low:.2f} to {high:.2f})")
    levels = 255 * STD[:, None, None]  # a difference of the inputs times this is one of 8-bit pixels
    differences = [np.abs(ours(file) - textbook(file)) * levels for file in files if upright(file)]
    worst, mean = max(each.max() for each in differences), np.mean([each.mean() for each in differences])
    print(f"  difference in levels of 255: at most {worst:.1f}, on average {mean:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--gap", type=int, default=decoding.DRAFT_GAP)
    options = parser.parse_args()
    files = sorted(file for file in options.folder.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg"))
    with tempfile.TemporaryDirectory() as folder:
        sets = {"as they are": files, "12 million pixels": alone(large, files, Path(folder))}
        for title, each in sets.items():
            alone(measure, title, each, options.rounds, options.gap)


if __name__ == "__main__":
    main()
