"""The moving average of a network."""

import copy

import pytest
import torch

import residua
from residua.nets.network import Network, Vgg
from residua.training.updating.averaging import Average


def network() -> Network | Vgg:
    return residua.create("cifar_resnet20", units=(1, 1, 1), widths=(4, 4, 4), stem_width=4, num_classes=3)


def move(one: Network | Vgg, step: int, size: float = 1.0) -> None:
    """Change all of a network's tensors, as a step of training does."""
    draw = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for tensor in one.state_dict().values():
            if tensor.is_floating_point():
                tensor += size * torch.randn(tensor.shape, generator=draw)
            else:
                tensor += 1


def distance(one: Network | Vgg, other: Network | Vgg, part: str) -> float:
    """How far apart two networks are in the tensors whose names hold a word."""
    pairs = [(each, other.state_dict()[name]) for name, each in one.state_dict().items() if part in name]
    return float(torch.cat([(each - its).flatten() for each, its in pairs]).norm())


@pytest.mark.parametrize("part", ["weight", "running_mean", "running_var"])
def test_it_lies_in_the_middle_of_where_a_network_wanders(part: str) -> None:
    middle = network()
    long, short = Average(middle, 0.99), Average(middle, 0.5)
    for step in range(100):
        one = copy.deepcopy(middle)
        move(one, step)
        for each in (long, short):
            each.update(one, 1000 + step)
    far, near, nearer = (distance(each, middle, part) for each in (one, short.network, long.network))
    assert nearer < near / 3 < near < far


def test_it_follows_a_network_that_goes_on() -> None:
    one = network()
    average = Average(one, 0.5)
    start = copy.deepcopy(one)
    for step in range(20):
        move(one, 7)  # always the same way
        average.update(one, 1000 + step)
    behind, gone = distance(average.network, one, "weight"), distance(start, one, "weight")
    assert 0 < behind < gone / 10  # by about one step of twenty


def test_what_is_counted_is_that_of_the_network() -> None:
    one = network()
    average = Average(one, 0.9)
    for step in range(3):
        move(one, step)
        average.update(one, 1000 + step)
    counts = [name for name, tensor in one.state_dict().items() if not tensor.is_floating_point()]
    assert counts and all(int(average.network.state_dict()[name]) == 3 for name in counts)


@pytest.mark.parametrize("step", [0, 10_000])
def test_what_stays_the_same_is_its_own_average(step: int) -> None:
    one = network()
    average = Average(one, 0.999)
    average.update(one, step)
    for name, tensor in average.network.state_dict().items():
        assert torch.equal(tensor, one.state_dict()[name])


def test_the_start_is_soon_forgotten() -> None:
    one = network()
    average = Average(one, 0.9999)
    move(one, 0)
    for step in range(30):
        average.update(one, step)
    for name, tensor in average.network.state_dict().items():
        torch.testing.assert_close(tensor, one.state_dict()[name], atol=1e-4, rtol=1e-4)


def test_its_network_is_ready_to_judge_and_nobody_elses() -> None:
    one = network()
    average = Average(one, 0.9)
    assert not average.network.training and one.training
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
    move(average.network, 1)
    assert not torch.equal(average.network.get_parameter("fc.weight"), one.get_parameter("fc.weight"))


def test_an_average_goes_on_from_its_tensors() -> None:
    one = network()
    average = Average(one, 0.9)
    move(one, 0)
    average.update(one, 0)
    again = Average(one, 0.9)
    again.network.load_state_dict(average.network.state_dict())
    move(one, 1)
    for each in (average, again):
        each.update(one, 1)
    for name, tensor in again.network.state_dict().items():
        assert torch.equal(tensor, average.network.state_dict()[name])
