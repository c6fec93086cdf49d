"""Hugging Face's `ResNetForImageClassification` computes what residua's networks compute."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification

from .comparing import EVALUATION, TRAINING, Model, case, copy, from_torch, outcome, residuas, same

CONFIGS: dict[str, dict[str, Any]] = {
    "resnet18": {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]},
    "resnet50": {},
    "resnet50_v1": {"downsample_in_bottleneck": True},
}
SMALL = [64, 65]  # every stage has an even side, and an odd one

names = pytest.mark.parametrize("name", CONFIGS)


def residuas_name(name: str) -> str:
    """Translate a name of theirs, such as "resnet.encoder.stages.0.layers.1.layer.2.normalization.bias"."""
    name = name.replace("resnet.embedder.embedder.convolution", "conv1")
    name = name.replace("resnet.embedder.embedder.normalization", "bn1").replace("classifier.1", "fc")
    unit = re.fullmatch(r"resnet\.encoder\.stages\.(\d)\.layers\.(\d+)\.(.+)", name)
    if not unit:
        return name
    place = f"layer{int(unit[1]) + 1}.{unit[2]}"
    if step := re.fullmatch(r"layer\.(\d)\.(convolution|normalization)\.(\w+)", unit[3]):
        kind = {"convolution": "conv", "normalization": "bn"}[step[2]]
        return f"{place}.{kind}{int(step[1]) + 1}.{step[3]}"
    shortcut = unit[3].replace("shortcut.convolution", "downsample.0")
    return f"{place}.{shortcut.replace('shortcut.normalization', 'downsample.1')}"


def theirs(name: str, dtype: torch.dtype) -> Model:
    config = ResNetConfig(**CONFIGS[name] | {"num_labels": 1000})
    network: nn.Module = ResNetForImageClassification(config)
    return from_torch(network.to(dtype), residuas_name, lambda output: output.logits)


def compare(name: str, dtype: torch.dtype, count: int, side: int, training: bool, limit: float) -> None:
    network, batch = case(name, dtype, count, side, training)
    mine, other = residuas(network), theirs(name, dtype)
    copy(mine, other)
    momentum = 0.1 if training else None
    same(outcome(mine, batch, momentum), outcome(other, batch, momentum), limit)


@pytest.mark.parametrize("side", SMALL)
@names
def test_evaluation_is_the_same(name: str, side: int) -> None:
    compare(name, torch.float32, 2, side, False, EVALUATION)


@pytest.mark.parametrize("side", [224, 225])
def test_evaluation_is_the_same_at_full_size(side: int) -> None:
    compare("resnet50", torch.float32, 1, side, False, EVALUATION)


@pytest.mark.parametrize(("side", "dtype"), [*zip(SMALL, TRAINING, strict=True)])
@names
def test_training_is_the_same(name: str, side: int, dtype: torch.dtype) -> None:
    compare(name, dtype, 4, side, True, TRAINING[dtype])
