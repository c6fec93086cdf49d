"""Strided 1x1 convolutions of few channels, whose gradients oneDNN gets wrong in channels_last."""

import pytest
import torch
from torch import nn

import residua
from residua.nets.modules import NarrowStride


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("size", [8, 9])
def test_it_is_the_same_convolution(groups: int, size: int) -> None:
    torch.manual_seed(0)
    ours = NarrowStride(4, 8, 1, stride=2, groups=groups)
    theirs = nn.Conv2d(4, 8, 1, stride=2, groups=groups)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(16, 4, size, size)
    found, expected = ours(x.contiguous(memory_format=torch.channels_last)), theirs(x)
    assert torch.allclose(found, expected, atol=1e-6)
    for convolution, y in ((ours, found), (theirs, expected)):
        y.square().sum().backward()
        assert convolution.weight.grad is not None
    assert torch.allclose(ours.weight.grad, theirs.weight.grad, rtol=1e-4, atol=1e-3)  # type: ignore[arg-type]


def test_only_where_it_is_needed() -> None:
    narrow = residua.create("tiny_resnet")
    wide = residua.create("resnet18")
    assert any(isinstance(module, NarrowStride) for module in narrow.modules())
    assert not any(isinstance(module, NarrowStride) for module in wide.modules())
