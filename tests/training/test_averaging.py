"""The moving average of a network."""

import pytest
import torch

import residua
from residua.nets.network import Network, Vgg
from residua.training.updating.averaging import Average


def network() -> Network | Vgg:
    return residua.create("cifar_resnet20", units=(1, 1, 1), widths=(4, 4, 4), stem_width=4, num_classes=3)


def move(one: Network | Vgg, step: int) -> None:
    """Change all of a network's tensors, as a step of training does."""
    draw = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for tensor in one.state_dict().values():
            if tensor.is_floating_point():
                tensor += torch.randn(tensor.shape, generator=draw)
            else:
                tensor += 1


def test_it_is_the_moving_average_of_weights_and_statistics() -> None:
    one = network()
    average = Average(one, 0.5)
    expected = {name: tensor.clone() for name, tensor in one.state_dict().items()}
    for step in range(20):
        move(one, step)
        average.update(one, step)
        share = min(0.5, (1 + step) / (10 + step))
        for name, tensor in one.state_dict().items():
            counts = not tensor.is_floating_point()
            expected[name] = tensor.clone() if counts else share * expected[name] + (1 - share) * tensor
    assert any("running_var" in name for name in expected)
    for name, tensor in average.network.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], msg=name)


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
