"""Golden numbers of every listed network; `python tests/nets/golden.py` writes them anew."""

import json
from pathlib import Path

import torch

import residua

FILE = Path(__file__).with_name("golden.json")
WITH_LOGITS = (
    "tiny_resnet",
    "resnet18",
    "resnet50_v1",
    "preresnet18",
    "resnetv2_18",
    "slim_resnet_v2_50",
    "keras_resnet50",
    "resnext50_32x4d",
    "seresnet50",
    "resnet50d",
    "cifar_resnet20",
    "cifar_preresnet20",
    "cifar_highway20",
    "cifar_plain20",
)


def counts(name: str) -> dict[str, int]:
    plan = residua.plan(residua.spec(name))
    return {"depth": plan.depth, "parameters": plan.parameters, "multiply_adds": plan.multiply_adds}


def logits(name: str) -> list[float]:
    """First logits of a network of seed 0 on a fixed batch, in training mode and float64."""
    torch.manual_seed(0)
    network = residua.create(name).double()
    x = torch.linspace(-1, 1, 2 * 3 * 40 * 40, dtype=torch.float64).sin().view(2, 3, 40, 40)
    values: list[float] = network(x * torch.arange(1, 3).view(2, 1, 1, 1))[0, :4].tolist()
    return values


if __name__ == "__main__":
    golden = {name: {**counts(name)} for name in residua.list_models()}
    data = {"counts": golden, "logits": {name: logits(name) for name in WITH_LOGITS}}
    FILE.write_text(json.dumps(data, indent=1) + "\n")
