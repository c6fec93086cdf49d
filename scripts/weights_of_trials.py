"""What the lab's pages say of weights that are not kept: the norms' factors, and how far gates are open.

    python scripts/weights_of_trials.py runs/lab/trials/NAME ... --data cifar10.safetensors

For each trial: the mean factor of the norms behind the units' first and second convolutions, and what weight
decay alone makes of one that begins at 1; the deviation of responses that factors and offsets make by
themselves; and the mean of each unit's exclusive gate over some held-out pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor, nn

from residua.judging.runfiles import CONFIG, LAST, read_metrics
from residua.lab.inside.subject import subject
from residua.nets.network import Network, Vgg
from residua.training.asking.configfile import read_config

PICTURES = 256


def norms(network: Network | Vgg, ending: str = "") -> list[nn.BatchNorm2d]:
    """Return the norms whose names end so; those of units, if any ending is asked for."""
    return [
        module
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d) and name.endswith(f".{ending}" if ending else "")
    ]


def deviation(network: Network | Vgg) -> float:
    """Return the mean deviation behind norms that use a batch's own statistics."""
    return fmean(
        float((norm.weight.square().mean() + norm.bias.var(correction=0)).sqrt()) for norm in norms(network)
    )


def gates(network: Network | Vgg, x: Tensor) -> list[float]:
    """Return the mean of each exclusive gate."""
    found: list[float] = []
    for unit in network.units if isinstance(network, Network) else ():
        if unit.kind == "exclusive_gating":
            unit.gate.register_forward_hook(lambda _, __, out: found.append(float(out.sigmoid().mean())))
    network.eval()(x)
    return found


def decayed(run: Path) -> float:
    """Return what weight decay and momentum make of a factor of 1, by the recipe's rates."""
    recipe, steps = read_config(run / CONFIG)["recipe"], read_metrics(run)[-1]["step"]
    weight, moved = 1.0, 0.0
    for step in range(steps):
        rise, fall = (step + 1) / steps / recipe["warmup"], (1 - step / steps) / (1 - recipe["warmup"])
        moved = recipe["momentum"] * moved + recipe["weight_decay"] * weight
        weight -= recipe["learning_rate"] * min(rise, fall) * moved
    return weight


@torch.no_grad()
def main() -> None:
    """Print a line for each trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("trials", nargs="+", type=Path)
    parser.add_argument("--data", required=True)
    given = parser.parse_args()
    for run in given.trials:
        chosen = subject(run / LAST, given.data, limit=PICTURES, device="cpu")
        network = chosen.network
        first, second = (
            fmean(float(norm.weight.abs().mean()) for norm in norms(network, name)) for name in ("bn1", "bn2")
        )
        print(
            f"{run.name}: factors {first:.3f} and {second:.3f}, by decay alone {decayed(run):.3f};", end=" "
        )
        opened = " ".join(f"{mean:.3f}" for mean in gates(network, chosen.whole()[0]))
        print(f"deviation {deviation(network):.3f}; gates {opened or 'none'}")


if __name__ == "__main__":
    main()
