"""Residua's networks against a hand-written one, eager fp32, interleaved in one run.

    python benchmarks/networks.py [--rounds 15] [--json]

Prints images a second of both and the ratio pair by pair (above 1: Residua is faster): median, and the
quartiles of the pairs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import residua


class TextbookUnit(nn.Module):
    """A residual unit as tutorials write it."""

    def __init__(self, into: int, width: int, out: int, stride: int, option_a: bool) -> None:
        super().__init__()
        self.deep = out != width
        if self.deep:
            self.conv1 = nn.Conv2d(into, width, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.conv3 = nn.Conv2d(width, out, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(out)
        else:
            self.conv1 = nn.Conv2d(into, width, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.stride, self.new = stride, out - into
        self.downsample = None
        if not option_a and (stride > 1 or into != out):
            self.downsample = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.deep:
            y = self.bn3(self.conv3(self.relu(y)))
        if self.downsample is not None:
            identity = self.downsample(x)
        elif self.new:
            identity = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new))
        y += identity
        return F.relu(y, inplace=True)


class Textbook(nn.Module):
    """ResNet for ImageNet or CIFAR as tutorials write it."""

    def __init__(self, units: tuple[int, ...], widths: tuple[int, ...], expansion: int, cifar: bool) -> None:
        super().__init__()
        into = 16 if cifar else 64
        self.conv1 = (
            nn.Conv2d(3, into, 3, 1, 1, bias=False) if cifar else nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        )
        self.bn1, self.relu = nn.BatchNorm2d(into), nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if cifar else nn.MaxPool2d(3, 2, 1)
        stages = []
        for stage, (count, width) in enumerate(zip(units, widths, strict=True)):
            for index in range(count):
                stride = 2 if stage and not index else 1
                stages.append(TextbookUnit(into, width, width * expansion, stride, cifar))
                into = width * expansion
        self.stages = nn.Sequential(*stages)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(into, 10 if cifar else 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        logits: Tensor = self.fc(torch.flatten(self.avgpool(self.stages(x)), 1))
        return logits


IMAGENET_WIDTHS = (64, 128, 256, 512)
CASES: dict[str, tuple[int, int, Callable[[], nn.Module]]] = {
    "resnet18": (16, 224, lambda: Textbook((2, 2, 2, 2), IMAGENET_WIDTHS, 1, cifar=False)),
    "resnet50": (8, 224, lambda: Textbook((3, 4, 6, 3), IMAGENET_WIDTHS, 4, cifar=False)),
    "cifar_resnet20": (128, 32, lambda: Textbook((3, 3, 3), (16, 32, 64), 1, cifar=True)),
}


def forward(network: nn.Module, batch: int, side: int) -> Callable[[], object]:
    network.eval()
    x = torch.randn(batch, 3, side, side)
    return torch.inference_mode()(lambda: network(x))


def training_step(network: nn.Module, batch: int, side: int) -> Callable[[], object]:
    network.train()
    x, y = torch.randn(batch, 3, side, side), torch.randint(10, (batch,))
    optimiser = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9)

    def step() -> None:
        optimiser.zero_grad()
        torch.autograd.backward(F.cross_entropy(network(x), y))
        optimiser.step()

    return step


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(name: str, kind: Callable[..., Callable[[], object]], rounds: int) -> dict[str, Any]:
    batch, side, textbook = CASES[name]
    ours, theirs = kind(residua.create(name), batch, side), kind(textbook(), batch, side)
    ours(), theirs()
    pairs = []
    for turn in range(rounds):
        first, second = (ours, theirs) if turn % 2 else (theirs, ours)
        times = seconds(first), seconds(second)
        pairs.append(times if turn % 2 else times[::-1])
    ratios = [b / a for a, b in pairs]
    low, median, high = statistics.quantiles(ratios, n=4)
    return {
        "network": name,
        "work": kind.__name__,
        "batch": batch,
        "residua_images_per_second": batch / statistics.median(a for a, _ in pairs),
        "textbook_images_per_second": batch / statistics.median(b for _, b in pairs),
        "ratio": median,
        "quartiles": [low, high],
        "n": rounds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(0)
    rows = [compare(name, kind, options.rounds) for name in CASES for kind in (forward, training_step)]
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, n = {options.rounds} pairs")
    for row in rows:
        low, high = row["quartiles"]
        print(
            f"{row['network']:15} {row['work']:14} batch {row['batch']:3}: "
            f"{row['residua_images_per_second']:7.1f} img/s, "
            f"textbook {row['textbook_images_per_second']:7.1f}, "
            f"ratio {row['ratio']:.3f} ({low:.3f} to {high:.3f})"
        )


if __name__ == "__main__":
    main()
