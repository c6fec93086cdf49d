"""Keras Applications, on Keras' own PyTorch backend, computes what residua's `keras_*` networks compute.

One thing differs: Keras moves its running variance by the batch's biased variance, PyTorch by the unbiased
one, which is n / (n - 1) times as large for n values per channel. The tests convert it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import keras
import pytest
import torch
from keras.src.backend.common import dtypes
from torch import Tensor

from residua import Network, plan

from .comparing import (
    EVALUATION,
    TRAINING,
    Model,
    Tensors,
    case,
    copy,
    outcome,
    residuas,
    same,
    without_effect,
)

PAIRS = {
    "keras_resnet50": "ResNet50",
    "keras_resnet101": "ResNet101",
    "keras_resnet152": "ResNet152",
    "keras_resnet50v2": "ResNet50V2",
    "keras_resnet101v2": "ResNet101V2",
    "keras_resnet152v2": "ResNet152V2",
}
SMALL = [64, 65]  # every stage has an even side, and an odd one
MOMENTUM = 1 - 0.99  # Keras' momentum is what stays, PyTorch's is what is new


def layer_name(part: str, preactivated: bool) -> str:
    """Translate residua's name of a layer, such as "layer1.0.conv2", to Keras'."""
    shift = 0
    if preactivated:
        part = part.replace("bn_last", "post_bn")
        part = re.sub(r"(layer.*)\.bn1", r"\1.preact_bn", part)
        shift = 1  # a unit's second norm follows its first convolution
    part = {"conv1": "conv1_conv", "bn1": "conv1_bn", "fc": "predictions"}.get(part, part)
    part = re.sub(r"downsample\.([01])", lambda found: "0_conv" if found[1] == "0" else "0_bn", part)
    part = re.sub(r"\.conv(\d)", r".\1_conv", part)
    part = re.sub(r"\.bn(\d)", lambda found: f".{int(found[1]) - shift}_bn", part)
    return re.sub(
        r"layer(\d)\.(\d+)\.", lambda found: f"conv{int(found[1]) + 1}_block{int(found[2]) + 1}_", part
    )


def variable(layer: Any, kind: str) -> Tensor:
    """Return the tensor that Keras keeps for one of PyTorch's kinds of tensors."""
    norm = isinstance(layer, keras.layers.BatchNormalization)
    names = {
        "weight": "gamma" if norm else "kernel",
        "bias": "beta" if norm else "bias",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    }
    found: Tensor = getattr(layer, names[kind]).value
    return found


def turned(tensor: Tensor) -> Tensor:
    """View a kernel (height, width, in, out) as (out, in, height, width), and a matrix transposed."""
    return tensor.permute(3, 2, 0, 1) if tensor.dim() == 4 else tensor.T if tensor.dim() == 2 else tensor


@contextmanager
def precision(dtype: torch.dtype) -> Iterator[None]:
    """Let Keras build and run networks of one precision.

    Its batch norm asks a table for the precision to compute in, and that says 32 bits in place of 64.
    """
    name = str(dtype).removeprefix("torch.")
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)
    try:
        with mock.patch.dict(dtypes.BIT64_TO_BIT32_DTYPE, {"float64": "float64"}):
            yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def theirs(network: Network, side: int) -> Model:
    application = getattr(keras.applications, PAIRS[network.spec.name])
    model = application(weights=None, classifier_activation=None, input_shape=(side, side, 3))

    def forward(images: Tensor, training: bool) -> Tensor:
        logits: Tensor = model(images.permute(0, 2, 3, 1), training=training)
        return logits

    def tensors(names: Tensors) -> Tensors:
        parts = {name: name.rpartition(".") for name in names}
        return {
            name: variable(model.get_layer(layer_name(part, network.spec.preactivated)), kind)
            for name, (part, _, kind) in parts.items()
        }

    mine = residuas(network)
    found = Model(forward, tensors(mine.parameters), tensors(mine.statistics), turned)
    assert len(model.weights) == len({id(value) for value in (found.parameters | found.statistics).values()})
    return found


def unbiased(found: Tensors, network: Network, count: int, side: int) -> Tensors:
    """Turn the biased variances of a batch into unbiased ones."""
    found = dict(found)
    for name, layer in plan(network.spec, side).layers:
        if layer.kind == "norm":
            values = count * layer.inputs.side**2
            found[f"batch in {name}.running_var"] *= values / (values - 1)
    return found


def compare(name: str, dtype: torch.dtype, count: int, side: int, training: bool, limit: float) -> None:
    network, batch = case(name, dtype, count, side, training)
    momentum = MOMENTUM if training else None
    with precision(dtype):
        mine, other = residuas(network), theirs(network, side)
        copy(mine, other)
        found, wanted = outcome(mine, batch, momentum), outcome(other, batch, momentum)
    if training:
        wanted = unbiased(wanted, network, count, side)
    same(found, wanted, limit, without_effect(plan(network.spec, side)) if training else ())


shallow = pytest.mark.parametrize("name", ["keras_resnet50", "keras_resnet50v2"])


@pytest.mark.parametrize("side", SMALL)
@shallow
def test_evaluation_is_the_same(name: str, side: int) -> None:
    compare(name, torch.float32, 2, side, False, EVALUATION)


@pytest.mark.parametrize(
    ("name", "side"),
    [("keras_resnet101", 64), ("keras_resnet101v2", 65), ("keras_resnet152", 65), ("keras_resnet152v2", 64)],
)
def test_evaluation_is_the_same_in_deep_networks(name: str, side: int) -> None:
    compare(name, torch.float32, 2, side, False, EVALUATION)


@pytest.mark.parametrize(("name", "side"), [("keras_resnet50", 224), ("keras_resnet50v2", 225)])
def test_evaluation_is_the_same_at_full_size(name: str, side: int) -> None:
    compare(name, torch.float32, 1, side, False, EVALUATION)


@pytest.mark.parametrize(("side", "dtype"), [(64, torch.float32), (64, torch.float64), (65, torch.float64)])
@shallow
def test_training_is_the_same(name: str, side: int, dtype: torch.dtype) -> None:
    compare(name, dtype, 4, side, True, TRAINING[dtype])


@shallow
def test_only_biases_that_a_norm_takes_away_are_left_out(name: str) -> None:
    network, batch = case(name, torch.float64, 4, 64, training=True)
    found = outcome(residuas(network), batch, MOMENTUM)
    zero = {key for key, value in found.items() if value.abs().max() < 1e-10}
    assert zero == without_effect(plan(network.spec, 64))
