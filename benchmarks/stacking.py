"""Several seeds of one network trained as one batched computation, against one after the other.

    python benchmarks/stacking.py [--network cifar_resnet20] [--seeds 3] [--batch 128] [--size 32]
        [--rounds 7] [--device cpu] [--threads 1]

A step is forward, backward and an update of SGD with momentum, in fp32. Stacked, the networks' tensors get a
first dimension, over which `torch.func.vmap` takes the step's gradient, and convolutions become grouped ones.
Alone a network has channels last in memory, which stacked ones gain nothing from.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.functional import cross_entropy

import residua

Step = Callable[[], object]
RATE, MOMENTUM = 0.1, 0.9


def separate(networks: list[torch.nn.Module], x: Tensor, y: Tensor) -> Step:
    optimizers = [torch.optim.SGD(each.parameters(), RATE, MOMENTUM) for each in networks]

    def step() -> None:
        for network, optimizer, inputs, labels in zip(networks, optimizers, x, y, strict=True):
            optimizer.zero_grad()
            torch.autograd.backward(cross_entropy(network(inputs), labels))
            optimizer.step()

    return step


def stacked(networks: list[torch.nn.Module], x: Tensor, y: Tensor) -> Step:
    parameters, buffers = stack_module_state(networks)
    parameters = {name: each.detach() for name, each in parameters.items()}
    moving = {name: torch.zeros_like(each) for name, each in parameters.items()}

    def loss(own: dict[str, Tensor], kept: dict[str, Tensor], inputs: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(functional_call(networks[0], (own, kept), (inputs,)), labels)

    gradients = vmap(grad(loss))

    def step() -> None:
        found = gradients(parameters, buffers, x, y)
        for name, moved in moving.items():
            moved.mul_(MOMENTUM).add_(found[name])
            parameters[name].sub_(moved, alpha=RATE)

    return step


def seconds(step: Step, device: str) -> float:
    start = time.perf_counter()
    step()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--network", default="cifar_resnet20")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    x = torch.randn(given.seeds, given.batch, 3, given.size, given.size, device=given.device)
    y = torch.randint(10, (given.seeds, given.batch), device=given.device)

    def networks(layout: torch.memory_format) -> list[torch.nn.Module]:
        made = [residua.create(given.network, num_classes=10) for _ in range(given.seeds)]
        return [each.to(given.device).to(memory_format=layout).train() for each in made]

    ways = {
        "one after the other": separate(networks(torch.channels_last), x, y),
        "stacked": stacked(networks(torch.contiguous_format), x, y),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(given.rounds + 1):
        for name in ways if turn % 2 else reversed(ways):
            found = seconds(ways[name], given.device)
            if turn:  # the first warms up
                spent[name].append(found)
    ratios = [one / other for one, other in zip(*spent.values(), strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"{given.seeds} x {given.network}, batch {given.batch}, {given.device}, n = {given.rounds}")
    for name, times in spent.items():
        print(f"  {name}: {statistics.median(times):.3f} s a step of all")
    print(f"  stacked is {middle:.2f} times as fast ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
