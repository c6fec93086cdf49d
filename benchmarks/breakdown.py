"""Where an update of a training spends its time, by kind of work.

    python benchmarks/breakdown.py FOLDER [--network resnet50] [--steps 4] [--busy]

The update is that of `updates.py` without a loader, and FOLDER is the same. The share of the peak is of what
the processor's multiplying instructions could do (`peak.py`): a forward pass needs the network's
multiplications once, the gradients of inputs and weights twice.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import torch

from peak import peak
from residua.nets.plan import plan
from residua.nets.zoo import spec
from textbook import BATCHES
from updates import PRECISION, SIZES, residua

KINDS = {  # what PyTorch's own operations are called, or begin with
    "convolutions, forward": ("mkldnn_convolution", "_slow_conv"),
    "convolutions, gradients": ("convolution_backward",),
    "batch norms": ("native_batch_norm",),
    "ReLU and addition": ("threshold_backward", "clamp_min", "relu", "add_"),
    "optimizer": ("_fused",),
    "casts and copies": ("copy_", "_to_copy"),
    "norms of the gradients": ("linalg_vector_norm", "_foreach_norm"),
}


def kind(operation: str) -> str:
    """Return what kind of work an operation is."""
    name = operation.removeprefix("aten::")
    return next((kind for kind, names in KINDS.items() if name.startswith(names)), "all else")


def seconds(options: argparse.Namespace) -> dict[str, float]:
    """Return what an update takes for each kind of work."""
    losses = residua(options)
    for _ in range(3):  # kernels and caches
        next(losses)
    with torch.profiler.profile() as profiled:
        for _ in range(options.steps):
            next(losses)
    found: dict[str, float] = defaultdict(float)
    for event in profiled.key_averages():
        found[kind(event.key)] += event.self_cpu_time_total / 1e6 / options.steps
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--network", choices=SIZES, default="resnet50")
    parser.add_argument("--steps", type=int, default=4, help="updates that are looked at")
    parser.add_argument("--busy", action="store_true", help="one thread")
    options = parser.parse_args()
    options.form = "same batch"
    found = seconds(options)
    work = plan(spec(options.network)).multiply_adds * BATCHES[options.network]
    top = (peak(PRECISION) or float("nan")) * (1 if options.busy else 2)
    passes = {"convolutions, forward": 1, "convolutions, gradients": 2}
    total = sum(found.values())
    print(f"{options.network}, batch {BATCHES[options.network]}, {PRECISION}: {total:.3f} seconds an update")
    for name, spent in sorted(found.items(), key=lambda pair: -pair[1]):
        share = f", {work * passes[name] / spent / top:.0%} of the peak" if name in passes else ""
        print(f"{name:24} {spent / total:6.1%}{share}")


if __name__ == "__main__":
    main()
