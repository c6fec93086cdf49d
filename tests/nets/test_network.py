"""Every network runs, learns and goes through whatever PyTorch does with modules."""

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import residua
from narrowing import narrow
from residua.nets.modules import averaged
from residua.nets.spec import AnySpec
from residua.nets.zoo import NAMES

FAMILY: list[tuple[str, dict[str, Any]]] = [
    ("tiny_resnet", {}),
    ("tiny_resnet", {"unit": "bottleneck", "groups": 2, "stride_place": "1x1"}),
    ("tiny_resnet", {"order": "bn_after_addition"}),
    ("tiny_resnet", {"order": "relu_before_addition"}),
    ("tiny_resnet", {"order": "relu_only_preactivation"}),
    ("tiny_resnet", {"order": "full_preactivation"}),
    ("tiny_resnet", {"order": "full_preactivation", "first_activation": "unit", "stem": "imagenet"}),
    ("tiny_resnet", {"order": "full_preactivation", "norm": "none"}),
    ("tiny_resnet", {"residual": False}),
    ("tiny_resnet", {"shortcut": "scaling", "shortcut_scale": 0.5, "residual_scale": 1}),
    ("tiny_resnet", {"shortcut": "exclusive_gating", "gate_bias": -6}),
    ("tiny_resnet", {"shortcut": "shortcut_only_gating", "gate_bias": 0}),
    ("tiny_resnet", {"shortcut": "convolution"}),
    ("tiny_resnet", {"shortcut": "dropout", "projection": "A"}),
    ("tiny_resnet", {"projection": "C", "projection_pool": True, "stem": "deep"}),
    ("tiny_resnet", {"norm": "group", "stochastic_depth": 0.3, "squeeze_excitation": 4}),
    ("tiny_resnet", {"norm": "batch_first_principles"}),
    ("tiny_resnet", {"order": "relu_before_addition", "stochastic_depth": 0.3}),
    ("tiny_resnet", {"stride_unit": "last", "stem": "imagenet", "stem_pool": "max_same", "units": (2, 2)}),
    ("tiny_resnet", {"stem": "imagenet", "stem_pool": "max_zero_padded", "output_stride": 4}),
]


def images(network: Any, count: int = 2, side: int = 32) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(count, network.spec.in_channels, side, side)


def specs() -> Iterator[Any]:
    """Every network by name, with few channels, and the family."""
    for name in NAMES:
        yield pytest.param(narrow(residua.spec(name)), id=name)
    for name, fields in FAMILY:
        yield pytest.param(residua.spec(name, **fields), id="-".join(map(str, [name, *fields.values()])))


@pytest.mark.parametrize("spec", [*specs()])
def test_forward_and_backward(spec: AnySpec) -> None:
    torch.manual_seed(0)
    network = residua.create(spec).train()
    logits = network(images(network))
    assert logits.shape == (2, network.spec.num_classes)
    logits.square().mean().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, f"{key} has no gradient"
        assert parameter.grad.isfinite().all(), f"{key} has a gradient that is not finite"


@pytest.mark.parametrize(("name", "fields"), FAMILY)
def test_one_seed_gives_one_network(name: str, fields: dict[str, Any]) -> None:
    networks = []
    for _ in range(2):
        torch.manual_seed(3)
        networks.append(residua.create(name, **fields).state_dict())
    assert all(torch.equal(networks[0][key], networks[1][key]) for key in networks[0])


def torchvision_keys(units: tuple[int, ...], convolutions: int) -> Iterator[str]:
    """torchvision's names, written down from its definition."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    yield from ("conv1.weight", *(f"bn1.{part}" for part in norm))
    for stage, count in enumerate(units, 1):
        for index in range(count):
            unit = f"layer{stage}.{index}"
            for number in range(1, convolutions + 1):
                yield f"{unit}.conv{number}.weight"
                yield from (f"{unit}.bn{number}.{part}" for part in norm)
            if index == 0 and (stage > 1 or convolutions == 3):
                yield f"{unit}.downsample.0.weight"
                yield from (f"{unit}.downsample.1.{part}" for part in norm)
    yield from ("fc.weight", "fc.bias")


@pytest.mark.parametrize(
    ("name", "units", "convolutions"),
    [
        ("resnet18", (2, 2, 2, 2), 2),
        ("resnet50", (3, 4, 6, 3), 3),
        ("resnet152", (3, 8, 36, 3), 3),
        ("resnext50_32x4d", (3, 4, 6, 3), 3),
    ],
)
def test_torchvisions_keys(name: str, units: tuple[int, ...], convolutions: int) -> None:
    with torch.device("meta"):
        network = residua.create(name)
    assert list(network.state_dict()) == list(torchvision_keys(units, convolutions))


def test_vggs_keys() -> None:
    with torch.device("meta"):
        keys = {key.rpartition(".")[0] for key in residua.create("vgg16").state_dict()}
    places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    assert keys == {f"features.{i}" for i in places} | {f"classifier.{i}" for i in (0, 3, 6)}


@pytest.mark.parametrize("name", ["resnet18", "preresnet18", "resnetv2_18", "slim_resnet_v2_50", "resnet50d"])
def test_the_dataset_does_not_choose_the_architecture(name: str) -> None:
    network = residua.create(name, num_classes=7, in_channels=1).eval()
    for side in (1, 31, 32, 65):
        assert network(torch.randn(1, 1, side, side)).shape == (1, 7)
    assert residua.create("cifar_resnet20", in_channels=4)(torch.randn(2, 4, 50, 37)).shape == (2, 10)


@pytest.mark.parametrize(("name", "fields"), FAMILY)
def test_features_have_the_stated_strides_and_channels(name: str, fields: dict[str, Any]) -> None:
    network = residua.create(name, **fields).eval()
    x = images(network, side=33)
    features = network.features(x)
    for feature in features:
        side = -(-33 // feature.stride)
        assert feature.output.shape == (2, feature.channels, side, side)
    pooled = features[-1].output.mean((2, 3))
    torch.testing.assert_close(network.fc(pooled), network(x))


def test_output_stride_is_honoured_in_features() -> None:
    for stride, expected in ((8, (4, 8, 8, 8)), (16, (4, 8, 16, 16)), (32, (4, 8, 16, 32))):
        network = residua.create("resnet18", output_stride=stride)
        assert tuple(feature.stride for feature in network.features(images(network))) == expected


@pytest.mark.parametrize(("name", "fields"), FAMILY)
def test_channels_last_changes_nothing(name: str, fields: dict[str, Any]) -> None:
    network = residua.create(name, **fields).eval()
    expected = network(images(network))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    actual = network(images(network).to(memory_format=torch.channels_last))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "fields"), FAMILY)
def test_bf16_autocast(name: str, fields: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = residua.create(name, **fields)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(images(network, 4))
    assert logits.dtype == torch.bfloat16
    logits.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize(("name", "fields"), FAMILY)
def test_double(name: str, fields: dict[str, Any]) -> None:
    network = residua.create(name, **fields).eval()
    expected = network(images(network))
    actual = network.double()(images(network).double())
    assert actual.dtype == torch.float64
    torch.testing.assert_close(actual.float(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "fields"), FAMILY)
def test_compile_without_graph_breaks(name: str, fields: dict[str, Any]) -> None:
    torch.compiler.reset()
    network = residua.create(name, **fields).eval()
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(images(network)), network(images(network)))
    network.train()
    if not network.spec.stochastic_depth and network.spec.shortcut != "dropout":  # which draw anew
        gradients = []
        for run in (compiled, network):
            network.zero_grad()
            run(images(network)).square().sum().backward()
            gradients.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "fields"), [*FAMILY, ("vgg16_bn", {"hidden": 8})])
def test_export(name: str, fields: dict[str, Any]) -> None:
    network = residua.create(name, **fields).eval()
    program = torch.export.export(network, (images(network),))
    torch.testing.assert_close(program.module()(images(network)), network(images(network)))


@pytest.mark.parametrize(("name", "fields"), FAMILY)
def test_meta_then_to_empty(name: str, fields: dict[str, Any]) -> None:
    original = residua.create(name, **fields).eval()
    with torch.device("meta"):
        network = residua.create(name, **fields).eval()
    network.to_empty(device="cpu")
    network.load_state_dict(original.state_dict())
    assert torch.equal(network(images(network)), original(images(original)))
    torch.manual_seed(5)
    network.reset_parameters()
    torch.manual_seed(5)
    fresh = residua.create(original.spec)
    fresh.reset_parameters()
    torch.manual_seed(5)
    original.reset_parameters()
    assert all(torch.equal(network.state_dict()[k], v) for k, v in original.state_dict().items())


@pytest.mark.parametrize(("name", "fields"), FAMILY)
def test_deepcopy_and_pickle(name: str, fields: dict[str, Any]) -> None:
    network = residua.create(name, **fields).eval()
    expected = network(images(network))
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):  # noqa: S301 - our own
        assert torch.equal(twin(images(network)), expected)
        assert twin.spec == network.spec
        for parameter in twin.parameters():
            nn.init.zeros_(parameter)
    assert torch.equal(network(images(network)), expected)


def test_distributed_data_parallel(tmp_path: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        network = residua.create("tiny_resnet")
        parallel = nn.parallel.DistributedDataParallel(network)
        parallel(images(network)).sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize(("name", "fields"), [*FAMILY, ("cifar_preresnet20", {})])
def test_checkpointing_changes_memory_alone(name: str, fields: dict[str, Any]) -> None:
    """Outputs, gradients, running statistics and random draws are those of the plain run, to the bit."""
    results = []
    torch.manual_seed(0)
    network = residua.create(name, **fields)
    start = copy.deepcopy(network.state_dict())
    for checkpointing in (False, True):
        network.load_state_dict(start)
        network.zero_grad()
        network.checkpointing = checkpointing
        torch.manual_seed(2)
        logits = network(torch.randn(4, 3, 16, 16))
        logits.square().sum().backward()
        gradients = [p.grad.clone() for p in network.parameters() if p.grad is not None]
        results.append([logits, *gradients, *(v.clone() for v in network.state_dict().values())])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_checkpointing_compiles_and_moves_statistics_once() -> None:
    torch.compiler.reset()
    network = residua.create("tiny_resnet")
    twin = copy.deepcopy(network)
    twin.checkpointing = True
    compiled = torch.compile(twin, fullgraph=True, backend="aot_eager")
    for module, run in ((network, network), (twin, compiled)):
        run(images(module)).square().sum().backward()
    for (name, one), other in zip(network.state_dict().items(), twin.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, msg=name)
    for one, other in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


@pytest.mark.parametrize(("name", "fields"), FAMILY)
def test_gradients_also_flow_in_evaluation_mode(name: str, fields: dict[str, Any]) -> None:
    network = residua.create(name, **fields).eval()
    network(images(network)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_checkpointing_saves_memory() -> None:
    from measuring import saved_for_backward

    network = residua.create("cifar_resnet56")
    plain = saved_for_backward(network, images(network))
    network.checkpointing = True
    assert saved_for_backward(network, images(network)) < 0.3 * plain


CAN_START_AT_ZERO = [
    (name, fields)
    for name, fields in FAMILY
    if fields.get("order") != "relu_before_addition" and fields.get("residual", True)
]


@pytest.mark.parametrize(("name", "fields"), CAN_START_AT_ZERO)
def test_zero_init_residual_starts_at_zero_and_learns(name: str, fields: dict[str, Any]) -> None:
    network = residua.create(name, **fields, zero_init_residual=True)
    terms = residua.unravel(network.eval(), images(network)).terms
    assert all(not term.residual.any() for term in terms)
    network.train()(images(network, 4)).square().sum().backward()
    zeroed = [p for p in network.units[-1].parameters() if not p.any() and p.grad is not None]
    assert any(p.grad is not None and p.grad.any() for p in zeroed)


def test_he_initialisation() -> None:
    torch.manual_seed(0)
    unit = residua.create("resnet50").units[0]
    weight = unit.get_submodule("conv2").weight
    assert isinstance(weight, Tensor)
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    norm = unit.get_submodule("bn1")
    assert isinstance(norm, nn.BatchNorm2d) and norm.weight.eq(1).all() and norm.bias.eq(0).all()


def test_the_gate_starts_at_its_bias() -> None:
    network = residua.create("cifar_highway20", gate_bias=-3)
    assert all(unit.get_parameter("gate.bias").eq(-3).all() for unit in network.units)


def test_stochastic_depth_grows_linearly_and_keeps_the_mean() -> None:
    network = residua.create("cifar_resnet20", stochastic_depth=0.9)
    rates = [unit.get_submodule("drop").rate for unit in network.units]
    assert rates == pytest.approx([0.1 * place for place in range(1, 10)])
    drop = network.units[4].get_submodule("drop").train()
    dropped = drop(torch.ones(20_000, 1, 1, 1))
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.5])
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(drop.eval()(torch.ones(3, 1, 1, 1)), torch.ones(3, 1, 1, 1))


@pytest.mark.parametrize("extent", [(7, 7), (1, 1), (3, 10), (16, 9)])
def test_an_adaptive_average_by_matrices_is_pytorchs(extent: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *extent)
    torch.testing.assert_close(averaged(x, 7), torch.nn.functional.adaptive_avg_pool2d(x, 7))
