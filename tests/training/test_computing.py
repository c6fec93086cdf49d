"""How a training computes, for as long as it lasts."""

from dataclasses import replace

import pytest
import torch

from residua.training.start import _computing
from training.tiny import settings


@pytest.mark.parametrize(
    ("device", "deterministic", "tried"),
    [("cpu", False, False), ("cuda", False, True), ("cuda", True, False)],
)
def test_a_gpu_tries_its_algorithms_unless_the_bits_are_to_be_the_same(
    device: str, deterministic: bool, tried: bool
) -> None:
    before = torch.backends.cudnn.benchmark
    with _computing(replace(settings(), device=device, deterministic=deterministic)):
        assert torch.backends.cudnn.benchmark == tried
        assert torch.are_deterministic_algorithms_enabled() == deterministic
    assert torch.backends.cudnn.benchmark == before and not torch.are_deterministic_algorithms_enabled()
