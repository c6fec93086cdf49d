"""Units can be listed, skipped, swapped, removed and unravelled; the network is exactly restored."""

from typing import Any

import pytest
import torch
from torch import Tensor

import residua
from residua import Network, UserError


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return residua.create("cifar_resnet20").eval()


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 3, 32, 32)


def plainly(network: Network, x: Tensor, order: list[int]) -> Tensor:
    """Run units one by one in a given order."""
    units = network.units
    x = network.stem(x)
    for index in order:
        x = units[index](x)
    return network.head(x)


def test_units_are_listed_in_order(network: Network) -> None:
    assert [unit.name for unit in network.units] == [f"layer{s}.{i}" for s in (1, 2, 3) for i in range(3)]


def test_skipping_leaves_the_shortcut(network: Network, x: Tensor) -> None:
    unit = network.units[3]  # dotted: its shortcut changes shape
    with network.skip(3):
        h = torch.randn(2, 16, 32, 32)
        assert torch.equal(unit(h), unit.after(unit.shortcut(h) + 0.0))
    with network.skip("layer1.1", 5):
        skipped = network(x)
    # Behind a ReLU the identity changes nothing, so skipping is leaving out.
    torch.testing.assert_close(skipped, plainly(network, x, [0, 2, 3, 4, 6, 7, 8]))


def test_removing_and_swapping(network: Network, x: Tensor) -> None:
    with network.remove(1, "layer2.2"):
        removed = network(x)
        assert len(network.units) == 7
    torch.testing.assert_close(removed, plainly(network, x, [0, 2, 3, 4, 6, 7, 8]))
    with network.swap(4, 5):
        swapped = network(x)
    torch.testing.assert_close(swapped, plainly(network, x, [0, 1, 2, 3, 5, 4, 6, 7, 8]))


def test_lesions_nest_and_name_places(network: Network, x: Tensor) -> None:
    with network.swap(4, 5), network.remove("layer2.1"):
        nested = network(x)
    torch.testing.assert_close(nested, plainly(network, x, [0, 1, 2, 3, 4, 6, 7, 8]))


@pytest.mark.parametrize("lesion", ["skip", "swap", "remove"])
def test_the_network_is_restored_also_after_an_exception(network: Network, x: Tensor, lesion: str) -> None:
    before, expected = list(network.state_dict()), network(x)
    with pytest.raises(RuntimeError, match="inside"), getattr(network, lesion)(1, 2):
        raise RuntimeError("inside")
    assert list(network.state_dict()) == before
    assert torch.equal(network(x), expected)
    assert all("residual" not in vars(unit) for unit in network.units)


@pytest.mark.parametrize(
    ("lesion", "units", "sentence"),
    [
        ("skip", (99,), "unit 99 does not exist: this network has units 0 to 8"),
        ("skip", ("layer1.7",), "unknown unit 'layer1.7': did you mean"),
        ("swap", (0, 8), "layer1.0 and layer3.2 cannot be swapped"),
        ("remove", (3,), "layer2.0 cannot be left out"),
    ],
)
def test_impossible_lesions(network: Network, lesion: str, units: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence), getattr(network, lesion)(*units):
        pass


def test_a_plain_unit_is_skipped_as_a_whole(x: Tensor) -> None:
    network = residua.create("cifar_plain20").eval()
    with network.skip(1):
        skipped = network(x)
    torch.testing.assert_close(skipped, plainly(network, x, [0, *range(2, 9)]))
    with pytest.raises(UserError, match=r"layer2\.0 cannot be left out"), network.skip(3):
        pass


def test_removing_twice_is_said(network: Network) -> None:
    with network.remove(1), pytest.raises(UserError, match=r"layer1\.1 is removed already"), network.skip(1):
        pass


@pytest.mark.parametrize("name", ["cifar_preresnet20", "cifar_preresnet164"])
def test_the_sum_of_the_papers_holds_between_identity_shortcuts(name: str, x: Tensor) -> None:
    network = residua.create(name).double().train()
    unravelled = residua.unravel(network, x.double())
    spans = unravelled.spans
    assert len(spans) == 3
    for low, high in spans:
        assert unravelled.defect(low, high) < 1e-12
        for middle in range(low + 1, high):
            assert unravelled.defect(middle, high) < 1e-12
    with pytest.raises(UserError, match=r"breaks at layer2\.0, where the shape changes"):
        unravelled.defect(spans[0][0], spans[1][1])


def test_unravelling_gives_the_networks_own_logits_and_parts(network: Network, x: Tensor) -> None:
    unravelled = residua.unravel(network, x)
    assert torch.equal(unravelled.logits, network(x))
    for term, unit in zip(unravelled.terms, network.units, strict=True):
        torch.testing.assert_close(term.output, unit.after(term.shortcut + term.residual))


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("cifar_resnet20", {}, "layer1.0: no, relu follow"),
        ("cifar_resnet20", {"order": "bn_after_addition"}, "norm and relu follow the addition"),
        ("cifar_preresnet20", {}, "layer2.0: no, .*the shortcut carries the activated x"),
        ("cifar_preresnet20", {}, "the shortcut changes shape"),
        ("cifar_preresnet20", {"projection": "B"}, "the shortcut is a projection"),
        ("cifar_preresnet20", {"shortcut": "scaling"}, "the shortcut is scaled"),
        ("cifar_preresnet20", {"shortcut": "exclusive_gating"}, "the shortcut is gated"),
        ("cifar_preresnet20", {"shortcut": "dropout"}, "the shortcut has dropout"),
        ("cifar_plain20", {}, "it has no shortcut"),
    ],
)
def test_the_report_says_where_the_identity_breaks(
    name: str, fields: dict[str, Any], reason: str, x: Tensor
) -> None:
    network = residua.create(name, **fields)
    unravelled = residua.unravel(network, x)
    report = unravelled.report()
    assert any(__import__("re").search(reason, line) for line in report.splitlines()), report
    broken = [i for i, term in enumerate(unravelled.terms) if term.breaks]
    assert all(unravelled.defect(i, i + 1) > 1e-6 for i in broken if same_shape(unravelled, i))


def same_shape(unravelled: Any, index: int) -> bool:
    term = unravelled.terms[index]
    return bool(term.x.shape == term.residual.shape)


@pytest.mark.parametrize("name", ["cifar_resnet20", "cifar_preresnet20", "cifar_plain20"])
@pytest.mark.parametrize("order", [None, "bn_after_addition"])
@pytest.mark.parametrize("lesion", ["skip", "remove", "swap"])
def test_a_lesioned_network_learns_and_unravels(name: str, order: str | None, lesion: str, x: Tensor) -> None:
    network = residua.create(name, **({"order": order} if order else {}))
    with getattr(network, lesion)(1, 2):
        network(x).sum().backward()
        unravelled = residua.unravel(network.eval(), x)
        assert torch.equal(unravelled.logits, network(x)) and unravelled.report()


def test_a_vgg_has_no_units_to_unravel() -> None:
    vgg = residua.create("vgg16", hidden=2, widths=(1, 1, 1, 1, 1))
    with pytest.raises(UserError, match="a Vgg has no residual units"):
        residua.unravel(vgg, torch.zeros(1, 3, 32, 32))
