"""Averages over batches against one batch of everything, and against PyTorch's own running ones."""

import pytest
import torch
from torch import nn

from lab.inside import PIXELS, assert_unchanged, state_of, tiny
from residua.errors import UserError
from residua.lab.inside.averages import Averages, by_batches
from residua.nets.batchnorm import FirstPrinciplesBatchNorm

SORTED = PIXELS[PIXELS.mean((1, 2, 3)).argsort()].float()  # batches that differ as much as they can
KINDS = (nn.BatchNorm2d, FirstPrinciplesBatchNorm)


@pytest.mark.parametrize("kind", KINDS)
def test_exact_ones_hold_what_lies_between_the_batches(kind: type[nn.BatchNorm2d]) -> None:
    norm = kind(3)
    ((mean, variance),) = Averages(nn.Sequential(norm), torch.split(SORTED, 5)).exact()
    torch.testing.assert_close(mean.float(), SORTED.mean((0, 2, 3)))
    torch.testing.assert_close(variance.float(), SORTED.var((0, 2, 3), correction=0))
    within = torch.stack([batch.var((0, 2, 3), correction=0) for batch in torch.split(SORTED, 6)]).mean(0)
    assert (within < variance).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("momentum", [0.1, 0.01, 1.0])
def test_running_ones_are_those_of_a_training_that_has_forgotten_its_beginning(
    kind: type[nn.BatchNorm2d], momentum: float
) -> None:
    norm = kind(3, momentum=momentum)
    for batch in torch.split(SORTED, 4):
        norm.train()(batch)
    assert norm.running_mean is not None and norm.running_var is not None
    forgotten = 1 - (1 - momentum) ** 3
    mean = norm.running_mean / forgotten
    variance = (norm.running_var - (1 - momentum) ** 3) / forgotten
    ((own_mean, own_variance),) = Averages(nn.Sequential(norm), torch.split(SORTED, 4)).running(momentum)
    torch.testing.assert_close(own_mean.float(), mean, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(own_variance.float(), variance, rtol=1e-3, atol=1e-4)


def test_a_network_predicts_with_them_for_a_while() -> None:
    network = tiny({"shortcut": "dropout"})  # whose draws have no part in it
    before = state_of(network)
    averages = Averages(network, torch.split(PIXELS, 4))
    assert_unchanged(network, before)
    one = Averages(network, [PIXELS])
    with torch.no_grad():
        plainly = network(PIXELS)
        with one.used(one.exact()):
            assert not network.training
            exactly = network(PIXELS)
        with by_batches(network):
            in_a_batch = network(PIXELS)
    torch.testing.assert_close(exactly, in_a_batch)
    assert not torch.allclose(exactly, plainly)
    assert_unchanged(network, before)
    with averages.used(averages.running(0.1)), torch.no_grad():
        assert not torch.allclose(network(PIXELS), plainly)
    assert_unchanged(network, before)


def test_no_batch_is_said() -> None:
    with pytest.raises(UserError, match="at least one batch"):
        Averages(tiny(), [])
