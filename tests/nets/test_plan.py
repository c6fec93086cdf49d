"""The plan says what the built module really has and does."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from measuring import inference_peak, saved_for_backward
from torch import nn

import residua
from residua.nets.memory import memory, receptive_field
from residua.nets.zoo import NAMES

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("resnet50", {"projection": "A"}),
    ("resnet34", {"projection": "C"}),
    ("resnet50", {"output_stride": 8}),
    ("slim_resnet_v2_50", {"output_stride": 16}),
    ("preresnet50", {"stem": "deep"}),
    ("resnet50", {"stem": "cifar", "groups": 8, "width": 0.5}),
    ("resnet18", {"residual": False, "squeeze_excitation": 4}),
    ("cifar_resnet20", {"shortcut": "scaling"}),
    ("cifar_resnet20", {"shortcut": "shortcut_only_gating"}),
    ("cifar_resnet20", {"shortcut": "dropout"}),
    ("cifar_resnet20", {"shortcut": "convolution"}),
    ("cifar_resnet20", {"order": "bn_after_addition"}),
    ("cifar_resnet20", {"order": "relu_before_addition"}),
    ("cifar_resnet20", {"order": "relu_only_preactivation"}),
    ("cifar_resnet20", {"order": "relu_only_preactivation", "first_activation": "unit"}),
    ("cifar_resnet20", {"stochastic_depth": 0.5}),
    ("cifar_resnet20", {"norm": "none"}),
    ("cifar_preresnet20", {"norm": "none"}),
    ("cifar_resnet20", {"norm": "group"}),
    ("cifar_resnet20", {"norm": "batch_first_principles"}),
    ("cifar_resnet20", {"bias": "all", "in_channels": 1, "num_classes": 3}),
    ("cifar_resnet20", {"units": (1, 2, 1, 1, 1), "widths": (8, 8, 16, 16, 16), "projection": "B"}),
]
MEASURED = (
    "resnet18",
    "resnet50",
    "preresnet50",
    "resnetv2_18",
    "plain18",
    "vgg16_bn",
    "seresnet50",
    "resnet50d",
    "keras_resnet50",
    "slim_resnet_v2_50",
    "cifar_highway20",
)
Case = tuple[str, dict[str, Any]]
WHOLE: list[Case] = [(name, {}) for name in NAMES]


def side(name: str) -> int:
    return 35 if residua.spec(name).input_size == 224 else 17


def convolving(network: nn.Module) -> Iterator[nn.Conv2d | nn.Linear]:
    return (module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear)))


@pytest.mark.parametrize(("name", "fields"), [*WHOLE, *VARIANTS])
def test_counts_equal_the_module(name: str, fields: dict[str, Any]) -> None:
    """On the meta device: parameters by name, and multiply-adds of what really runs."""
    with torch.device("meta"):
        network = residua.create(name, **fields)
    plan = residua.plan(network.spec, side(name))
    done = []

    def count(module: nn.Conv2d | nn.Linear, _: object, output: torch.Tensor) -> None:
        done.append(output[0].numel() * module.weight[0].numel())

    for module in convolving(network):
        module.register_forward_hook(count)
    network.train()(torch.empty(2, network.spec.in_channels, side(name), side(name), device="meta"))
    assert sum(done) == plan.multiply_adds
    planned = {name: layer.parameters for name, layer in plan.layers if layer.parameters}
    built = {
        name: sum(p.numel() for p in module.parameters())
        for name, module in network.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear)) or hasattr(module, "eps") or name.endswith(".se")
        if ".se." not in name
    }
    assert built == planned
    assert plan.parameters == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(("name", "fields"), [*((name, {}) for name in MEASURED), *VARIANTS])
def test_activation_memory_equals_the_module(name: str, fields: dict[str, Any]) -> None:
    """Bytes for one image more: what a third image adds to two, so that constants drop out."""
    network = residua.create(name, **fields)
    planned = memory(residua.plan(network.spec, side(name)))

    def images(count: int) -> torch.Tensor:
        return torch.randn(count, network.spec.in_channels, side(name), side(name))

    assert saved_for_backward(network, images(3)) - saved_for_backward(network, images(2)) == planned.training
    assert inference_peak(network, images(3)) - inference_peak(network, images(2)) == planned.inference


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("slim_resnet_v1_50", 483),
        ("slim_resnet_v1_101", 1027),
        ("slim_resnet_v1_152", 1507),
        ("vgg16", 212),
    ],
)
def test_published_receptive_fields(name: str, published: int) -> None:
    """Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks", 2019."""
    assert receptive_field(residua.plan(residua.spec(name))) == published


@pytest.mark.parametrize("name", ["cifar_resnet20", "cifar_preresnet20"])
def test_the_receptive_field_is_what_really_reaches_one_place(name: str) -> None:
    spec = residua.spec(name, input_size=131, norm="none")
    network = residua.create(spec).double().eval()
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.01)
    image = torch.ones(1, 3, 131, 131, dtype=torch.float64, requires_grad=True)
    feature = network.features(image)[-1].output
    feature[0, 0, 16, 16].backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    reached = image.grad[0, 0].abs().sum(0).nonzero()
    assert int(reached.max() - reached.min()) + 1 == receptive_field(residua.plan(spec))


def test_counting_needs_no_time() -> None:
    """50 ms is promised on two cores; ten times that still shows a plan that builds modules."""
    start = time.perf_counter()
    plan = residua.plan(residua.spec("resnet152", width=2))
    assert plan.multiply_adds > 0 and memory(plan).training > 0
    assert time.perf_counter() - start < 0.5
