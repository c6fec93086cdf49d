"""Batch normalization from its equations equals PyTorch's; recalibration gives true averages."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import residua
from residua import UserError
from residua.nets.batchnorm import FirstPrinciplesBatchNorm, recalibrate

SHAPES = st.one_of(
    st.tuples(st.integers(2, 9), st.integers(1, 5)),
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(2, 5), st.integers(2, 5)),
)


def twins(shape: tuple[int, ...], momentum: float | None, eps: float) -> tuple[nn.Module, nn.Module]:
    theirs: nn.Module
    kind = nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d
    theirs = kind(shape[1], eps=eps, momentum=momentum).double()
    ours = FirstPrinciplesBatchNorm(shape[1], eps, momentum).double()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@given(SHAPES, st.sampled_from([0.1, 0.9, None]), st.sampled_from([1e-5, 1e-2]), st.integers(0, 2**20))
def test_equals_pytorch(shape: tuple[int, ...], momentum: float | None, eps: float, seed: int) -> None:
    torch.manual_seed(seed)
    ours, theirs = twins(shape, momentum, eps)
    for training in (True, True, False):
        x = torch.randn(shape, dtype=torch.float64) * 3 + 1
        weight = torch.randn(shape, dtype=torch.float64)
        seen = [gradients(module.train(training), x, weight) for module in (ours, theirs)]
        for a, b in zip(*seen, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value, rtol=1e-12, atol=1e-12)


def gradients(module: nn.Module, x: Tensor, weight: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    module.zero_grad()
    y = module(x)
    (y * weight).sum().backward()
    return [y, *(p.grad.clone() for p in [x, *module.parameters()] if p.grad is not None)]


def test_one_value_per_channel_is_refused_in_training_only() -> None:
    norm = FirstPrinciplesBatchNorm(3)
    with pytest.raises(ValueError, match="more than one"):
        norm(torch.zeros(1, 3))
    assert norm.eval()(torch.zeros(1, 3)).shape == (1, 3)


def test_a_network_computes_the_same_with_either() -> None:
    torch.manual_seed(0)
    ours = residua.create("tiny_resnet", norm="batch_first_principles").double()
    theirs = residua.create("tiny_resnet").double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("norm", ["batch", "batch_first_principles"])
def test_recalibration_averages_over_samples(norm: str) -> None:
    network = residua.create("tiny_resnet", norm=norm).double().eval()
    before = copy.deepcopy(network.state_dict())
    batches = [torch.randn(n, 3, 8, 8, dtype=torch.float64) + n for n in (8, 4, 2)]
    recalibrate(network, batches)
    stem = [network.get_submodule("conv1")(batch) for batch in batches]
    mean = sum(len(x) * x.mean((0, 2, 3)) for x in stem) / 14
    var = sum(len(x) * x.transpose(0, 1).flatten(1).var(1) for x in stem) / 14
    torch.testing.assert_close(network.get_submodule("bn1").running_mean, mean)
    torch.testing.assert_close(network.get_submodule("bn1").running_var, var)
    assert not network.training and network.get_submodule("bn1").momentum == 0.1
    for key, value in network.state_dict().items():
        if "running" not in key and "num_batches" not in key:
            assert torch.equal(value, before[key])


def failing() -> Any:
    yield torch.randn(2, 3, 8, 8)
    raise OSError("the disk is gone")


def test_a_failed_recalibration_changes_nothing() -> None:
    network = residua.create("tiny_resnet")
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(OSError, match="the disk is gone"):
        recalibrate(network, failing())
    with pytest.raises(UserError, match="at least one batch"):
        recalibrate(network, [torch.zeros(0, 3, 8, 8)])
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(module.training for module in network.modules())


def test_recalibration_heals_broken_statistics() -> None:
    network = residua.create("tiny_resnet")
    network.get_submodule("bn1").running_mean.fill_(float("nan"))  # type: ignore[operator]
    recalibrate(network, [torch.randn(4, 3, 8, 8), torch.zeros(0, 3, 8, 8)])
    assert all(buffer.isfinite().all() for buffer in network.buffers())
