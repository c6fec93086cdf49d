"""The training loop as textbooks write it: PIL, a DataLoader, SGD; what Residua is compared with.

    python benchmarks/textbook.py FOLDER --network resnet50 --form bf16

Forms: fp32 (as memory comes), channels_last (fp32), bf16 (autocast and channels_last). From standard input
it reads lines of two numbers, of steps and of the DataLoader's workers, and answers each with the seconds
that the steps took and the process's peak memory in bytes.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from networks import CASES

BATCHES = {"resnet50": 16, "resnet18": 16, "cifar_resnet20": 128}
MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


class Folder(Dataset[tuple[Tensor, int]]):
    """Pictures in class folders, augmented as usual for photos or for CIFAR."""

    def __init__(self, folder: Path, size: int) -> None:
        classes = sorted(path for path in folder.iterdir() if path.is_dir())
        self.files = [(file, label) for label, path in enumerate(classes) for file in sorted(path.iterdir())]
        self.size = size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        file, label = self.files[place]
        image = Image.open(file).convert("RGB")
        image = padded_crop(image) if self.size == 32 else resized_crop(image, self.size)
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = (np.asarray(image, np.float32) / 255 - MEAN) / STD
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous(), label


def resized_crop(image: Image.Image, size: int) -> Image.Image:
    """Take a random box of 35% to 100% of the picture."""
    area = image.width * image.height * random.uniform(0.35, 1)
    ratio = random.uniform(3 / 4, 4 / 3)
    width = min(image.width, round((area * ratio) ** 0.5))
    height = min(image.height, round((area / ratio) ** 0.5))
    left, top = random.randint(0, image.width - width), random.randint(0, image.height - height)
    box = (left, top, left + width, top + height)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box)


def padded_crop(image: Image.Image) -> Image.Image:
    """Shift the picture by up to four pixels."""
    left, top = random.randint(-4, 4), random.randint(-4, 4)
    return image.crop((left, top, left + image.width, top + image.height))


def batches(folder: Path, size: int, batch: int, workers: int) -> Iterator[list[Tensor]]:
    """Go over the folder again and again."""
    keep = workers > 0
    loader = DataLoader(
        Folder(folder, size),
        batch,
        shuffle=True,
        num_workers=workers,
        persistent_workers=keep,
        drop_last=True,
    )
    while True:
        yield from loader


def training(name: str, folder: Path, form: str) -> Callable[[int], float]:
    """Return what makes an update with so many workers reading, and returns its loss."""
    _, size, make = CASES[name]
    network = make().train()
    layout = torch.contiguous_format if form == "fp32" else torch.channels_last
    network.to(memory_format=layout)  # type: ignore[call-overload] # PyTorch's own types lack it
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9, nesterov=True, weight_decay=1e-4)
    read = cache(lambda workers: batches(folder, size, BATCHES[name], workers))

    def update(workers: int) -> float:
        images, labels = next(read(workers))
        images = images.to(memory_format=layout)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=form == "bf16"):
            loss = F.cross_entropy(network(images), labels)
        torch.autograd.backward(loss)
        optimizer.step()
        return loss.item()

    return update


def answer(update: Callable[[int], object], busy: bool) -> None:
    """Do as many steps as each line of the standard input says, and say how long they took."""
    clock = time.process_time if busy else time.perf_counter
    torch.set_num_threads(1 if busy else 2)
    for line in sys.stdin:
        steps, workers = map(int, line.split())
        start = clock()
        for _ in range(steps):
            update(workers)
        seconds = clock() - start
        print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--network", choices=BATCHES, default="resnet50")
    parser.add_argument("--form", choices=("fp32", "channels_last", "bf16"), default="bf16")
    parser.add_argument(
        "--busy", action="store_true", help="one thread, and processor time: others compute too"
    )
    options = parser.parse_args()
    answer(training(options.network, options.folder, options.form), options.busy)


if __name__ == "__main__":
    main()
