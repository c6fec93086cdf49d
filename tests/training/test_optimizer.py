"""Groups of parameters, the updates they get, and the optimizer's state across an interruption."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import residua
from residua.nets.devices import multiplies_bf16
from residua.nets.network import Network, Vgg
from residua.training.recipes import Recipe
from residua.training.updating.muon import orthogonal
from residua.training.updating.optimizer import (
    Optimizer,
    build_optimizer,
    load_state,
    set_rate,
    state_tensors,
)

KINDS = ["sgd", "adamw", "muon"]


def small(**changes: Any) -> Network | Vgg:
    spec = residua.spec("cifar_resnet20").edit(units=(1, 1, 1), widths=(4, 8, 8), stem_width=4, num_classes=3)
    network: Network | Vgg = residua.create(spec.edit(input_size=8, **changes))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def vgg() -> Network | Vgg:
    spec = residua.VggSpec(convolutions=(1, 1), widths=(4, 8), hidden=5, norm="batch", input_size=8)
    return residua.create(spec)


def recipe(optimizer: str = "sgd", **changes: Any) -> Recipe:
    return Recipe(epochs=1, learning_rate=0.05, weight_decay=0.01).edit(optimizer=optimizer, **changes)


def train(network: nn.Module, optimizer: Optimizer, steps: range) -> None:
    network.train()
    for step in steps:
        draw = torch.Generator().manual_seed(step)
        set_rate(optimizer, 1 / (1 + step))
        optimizer.zero_grad()
        network(torch.randn(4, 3, 8, 8, generator=draw)).square().mean().backward()
        optimizer.step()


def groups_by_name(optimizer: Optimizer) -> dict[str, dict[str, Any]]:
    return {name: group for group in optimizer.param_groups for name in group["param_names"]}


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize(
    "network",
    [
        small(),
        small(order="full_preactivation"),
        small(squeeze_excitation=2, shortcut="exclusive_gating", bias="all"),
        small(norm="group", norm_groups=2),
        small(norm="batch_first_principles"),
        vgg(),
    ],
    ids=["resnet", "preactivation", "squeeze and gate", "group norm", "first principles", "vgg"],
)
def test_only_weights_of_convolutions_and_linear_layers_decay(network: Network | Vgg, kind: str) -> None:
    groups = groups_by_name(build_optimizer(network, recipe(kind)))
    decaying = {name for name, group in groups.items() if group["weight_decay"]}
    layers = [(path, m) for path, m in network.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert decaying == {f"{path}.weight" for path, _ in layers}
    assert groups.keys() == dict(network.named_parameters()).keys()


@pytest.mark.parametrize(
    "network", [small(), small(squeeze_excitation=2, norm="group", norm_groups=2), vgg()]
)
def test_with_muon_only_convolutions_decay(network: Network | Vgg) -> None:
    optimizer = build_optimizer(network, recipe("muon"))
    convolutions = {f"{path}.weight" for path, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    groups = groups_by_name(optimizer)
    assert {name for name, group in groups.items() if group["weight_decay"]} == convolutions
    assert groups.keys() == dict(network.named_parameters()).keys()
    assert len(optimizer.param_groups) == 2  # what is no convolution is of one kind


def test_everything_decays_in_the_paper() -> None:
    optimizer = build_optimizer(small(), recipe(decayed="all"))
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01]


def test_each_stage_learns_slower_than_the_one_behind_it() -> None:
    network = small(order="full_preactivation", squeeze_excitation=2)
    optimizer = build_optimizer(network, recipe(layer_decay=0.5))
    rates = {name: group["lr"] / 0.05 for name, group in groups_by_name(optimizer).items()}
    assert rates["fc.weight"] == rates["fc.bias"] == rates["bn_last.weight"] == 1
    assert rates["layer3.0.conv1.weight"] == rates["layer3.0.bn1.bias"] == 1 / 2
    assert rates["layer2.0.se.fc1.weight"] == 1 / 4 and rates["layer1.0.conv2.weight"] == 1 / 8
    assert rates["conv1.weight"] == 1 / 16


def test_the_stages_of_a_vgg_learn_slower_too() -> None:
    groups = groups_by_name(build_optimizer(vgg(), recipe(layer_decay=0.5)))
    places = ("features.0.weight", "features.4.weight", "classifier.0.weight", "classifier.6.bias")
    assert [groups[name]["lr"] / 0.05 for name in places] == [1 / 4, 1 / 2, 1, 1]


def test_the_rate_is_set_as_a_share_of_each_groups_own() -> None:
    optimizer = build_optimizer(small(), recipe(layer_decay=0.5))
    full = [group["lr"] for group in optimizer.param_groups]
    for factor in (0.5, 0.1):
        set_rate(optimizer, factor)
        assert [group["lr"] for group in optimizer.param_groups] == [rate * factor for rate in full]


@pytest.mark.parametrize("decayed", ["all", "weights"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_sgd_is_the_textbooks(nesterov: bool, decayed: str) -> None:
    network, chosen = small(), recipe(nesterov=nesterov, decayed=decayed)
    weights = {name: value.detach().clone() for name, value in network.named_parameters()}
    speed = {name: torch.zeros_like(value) for name, value in weights.items()}
    optimizer = build_optimizer(network, chosen)
    for step in range(3):
        train(network, optimizer, range(step, step + 1))
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None
            decays = decayed == "all" or parameter.ndim > 1
            grad = parameter.grad + 0.01 * decays * weights[name]
            speed[name] = 0.9 * speed[name] + grad
            update = grad + 0.9 * speed[name] if nesterov else speed[name]
            weights[name] -= 0.05 / (1 + step) * update
            torch.testing.assert_close(parameter, weights[name])


@pytest.mark.parametrize("nesterov", [True, False])
def test_sgd_is_pytorchs_to_the_bit(nesterov: bool) -> None:
    one, other = small(), small()
    other.load_state_dict(one.state_dict())
    theirs = torch.optim.SGD(other.parameters(), 0.05, 0.9, weight_decay=0.01, nesterov=nesterov, fused=True)
    ours = build_optimizer(one, recipe(nesterov=nesterov, decayed="all"))
    theirs.param_groups[0]["full_rate"] = 0.05
    train(one, ours, range(4))
    train(other, theirs, range(4))
    assert all(map(torch.equal, one.parameters(), other.parameters()))


def test_training_does_not_load_the_compiler() -> None:
    code = (
        "import sys, torch, residua\n"
        "from residua.training.recipes import Recipe\n"
        "from residua.training.updating.optimizer import build_optimizer\n"
        "network = residua.create('tiny_resnet')\n"
        "for kind in ('sgd', 'muon'):\n"
        "    optimizer = build_optimizer(network, Recipe(epochs=1).edit(optimizer=kind))\n"
        "    network(torch.zeros(2, 3, 8, 8)).sum().backward()\n"
        "    optimizer.step(), optimizer.zero_grad()\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("shape", [(8, 4, 3, 3), (16, 2, 1, 1)], ids=["wide", "tall"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_a_convolution_moves_as_pytorchs_muon_moves_the_matrix(
    shape: tuple[int, ...], nesterov: bool
) -> None:
    network = small(norm="none")
    layer = nn.Conv2d(shape[1], shape[0], shape[2])
    network.conv1 = layer
    theirs = nn.Parameter(layer.weight.detach().flatten(1).clone())
    our_muon = build_optimizer(network, recipe("muon", nesterov=nesterov))
    their_muon: torch.optim.Optimizer = torch.optim.Muon([theirs], 0.05, 0.01, 0.9, nesterov)
    for _ in range(3):
        layer.weight.grad = torch.randn(shape)
        theirs.grad = layer.weight.grad.flatten(1).clone()
        our_muon.step()
        their_muon.step()
    near = 1e-3 if multiplies_bf16("cpu") else 8e-3  # theirs is in bf16 everywhere
    torch.testing.assert_close(layer.weight.flatten(1), theirs, atol=near, rtol=0)


@pytest.mark.parametrize("shape", [(3, 4, 30), (2, 30, 4), (1, 6, 6)])
def test_orthogonal_matrices_stretch_all_directions_alike(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape) * torch.logspace(-3, 3, shape[0])[:, None, None]
    values = torch.linalg.svdvals(orthogonal(matrices)) / max(1, shape[1] / shape[2]) ** 0.5
    assert values.min() > 0.3 and values.max() < 1.4
    assert not torch.equal(orthogonal(matrices), matrices)
    assert torch.equal(orthogonal(torch.zeros(shape)), torch.zeros(shape))


def test_each_group_of_a_convolution_gets_an_orthogonal_update_of_its_own() -> None:
    network = small(norm="none")
    network.conv1 = layer = nn.Conv2d(4, 32, 3, groups=4)
    optimizer = build_optimizer(network, recipe("muon", weight_decay=0))
    before = layer.weight.detach().clone()
    layer.weight.grad = torch.randn(32, 1, 3, 3)
    optimizer.step()
    moved = (before - layer.weight.detach()) / 0.05
    values = torch.linalg.svdvals(moved.view(4, 8, 9))
    assert values.min() > 0.3 and values.max() < 1.4


def test_muon_moves_vectors_as_sgd_does() -> None:
    one, other = small(), small()
    other.load_state_dict(one.state_dict())
    chosen = recipe("muon", vector_rate=0.3)
    train(one, build_optimizer(one, chosen), range(1))
    train(other, build_optimizer(other, recipe("sgd", learning_rate=0.3, weight_decay=0)), range(1))
    torch.testing.assert_close(one.get_parameter("fc.weight"), other.get_parameter("fc.weight"))
    assert not torch.allclose(one.get_parameter("conv1.weight"), other.get_parameter("conv1.weight"))


@pytest.mark.parametrize("done", [0, 1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_training_ends_with_the_same_bits(kind: str, done: int) -> None:
    whole, chosen = small(), recipe(kind, layer_decay=0.8)
    half = small()
    half.load_state_dict(whole.state_dict())
    train(whole, build_optimizer(whole, chosen), range(5))

    optimizer = build_optimizer(half, chosen)
    train(half, optimizer, range(done))
    saved = {name: value.clone().contiguous() for name, value in state_tensors(optimizer, half).items()}
    resumed = small()
    resumed.load_state_dict(half.state_dict())
    second = build_optimizer(resumed, chosen)
    load_state(second, resumed, saved)
    train(resumed, second, range(done, 5))
    assert same(resumed.state_dict(), whole.state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_frozen_has_no_state_and_no_update(kind: str) -> None:
    network = small()
    network.requires_grad_(False).get_submodule("fc").requires_grad_(True)
    before = {name: value.clone() for name, value in network.named_parameters()}
    optimizer = build_optimizer(network, recipe(kind))
    train(network, optimizer, range(2))
    moved = {n for n, value in network.named_parameters() if not torch.equal(value, before[n])}
    assert moved == {"fc.weight", "fc.bias"}
    assert all(name.startswith("fc.") for name in state_tensors(optimizer, network))


def test_loading_a_state_forgets_the_old_one() -> None:
    network = small()
    optimizer = build_optimizer(network, recipe())
    train(network, optimizer, range(1))
    load_state(optimizer, network, {})
    assert state_tensors(optimizer, network) == {}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())
