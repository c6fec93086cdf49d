"""What an update costs beside the gradients: each optimizer's own step, and the moving average's.

    python benchmarks/optimizers.py [--rounds 15] [--threads 2]

All of a network take turns, on the same made-up gradients; medians and quartiles, in milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

import residua
from residua.training.recipes import recipe
from residua.training.updating.averaging import Average
from residua.training.updating.optimizer import build_optimizer

NETWORKS = {"cifar_resnet20": {"num_classes": 10}, "resnet50": {}}
OPTIMIZERS = ("sgd", "adamw", "muon")


def steps(name: str, fields: dict[str, int]) -> dict[str, Callable[[], object]]:
    """What is measured, each of a network of its own."""
    found: dict[str, Callable[[], object]] = {}
    for optimizer in (*OPTIMIZERS, "the moving average"):
        network = residua.create(name, **fields).to(memory_format=torch.channels_last)  # type: ignore[call-overload] # PyTorch's own types lack it
        if optimizer not in OPTIMIZERS:
            found[optimizer] = partial(Average(network, 0.999).update, network, 100)
            continue
        for parameter in network.parameters():
            parameter.grad = torch.randn_like(parameter)
        found[optimizer] = build_optimizer(network, recipe("modern", size=32, optimizer=optimizer)).step
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for name, fields in NETWORKS.items():
        measured = steps(name, fields)
        spent: dict[str, list[float]] = {each: [] for each in measured}
        for turn in range(given.rounds + 1):
            for each, step in measured.items():
                start = time.perf_counter()
                step()
                if turn:  # the first warms up
                    spent[each].append(1000 * (time.perf_counter() - start))
        print(f"{name}, {given.threads} threads, n = {given.rounds}")
        for each, times in spent.items():
            low, middle, high = statistics.quantiles(times, n=4)
            print(f"  {each}: {middle:.3g} ms ({low:.3g} to {high:.3g})")


if __name__ == "__main__":
    main()
