"""Loading a model file against the same work by hand, interleaved in one run.

    python benchmarks/loading.py [--rounds 11]

By hand: reading resnet152's tensors into a built module, and one pass of the checksum over the file.
Residua: `load`, less building the module. Memory is the process's peak above what it held before.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn

import residua

NAME = "resnet152"


def empty() -> nn.Module:
    with torch.device("meta"):
        network = residua.create(NAME)
    return network.to_empty(device="cpu")


def by_hand(path: Path, network: nn.Module) -> None:
    with safe_open(path, framework="pt") as tensors, torch.no_grad():
        for name, target in network.state_dict().items():
            target.copy_(tensors.get_tensor(name))


def checksum(path: Path) -> None:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            total.update(chunk)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def status(key: str) -> int:
    found = re.search(key + r":\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def memory(path: Path) -> None:
    """Print the growth of this process while it loads, in shares of the file."""
    residua.load  # noqa: B018 - imported before measuring
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    residua.load(path)
    print((status("VmHWM") - before) / path.stat().st_size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        return memory(options.memory)
    with tempfile.TemporaryDirectory() as folder:
        path = residua.save(residua.create(NAME), Path(folder) / "model.safetensors")
        ratios = []
        for _ in range(options.rounds + 1):
            network = empty()
            hand = seconds(partial(by_hand, path, network)) + seconds(partial(checksum, path))
            building = seconds(empty)
            ours = seconds(partial(residua.load, path)) - building
            ratios.append((ours / hand, ours, hand))
        ratios = ratios[1:]  # the first reads the disk
        low, median, high = statistics.quantiles([ratio for ratio, _, _ in ratios], n=4)
        ours, hand = (statistics.median(values) for values in list(zip(*ratios, strict=True))[1:])
        print(f"{NAME}: load {ours:.3f} s, by hand {hand:.3f} s, n = {options.rounds}")
        print(f"ratio {median:.2f} ({low:.2f} to {high:.2f})")
        command = [sys.executable, __file__, "--memory", str(path)]
        grown = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"peak memory grows by {float(grown.stdout):.2f} times the file")
    return None


if __name__ == "__main__":
    main()
