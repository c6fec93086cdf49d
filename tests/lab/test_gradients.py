"""Gradients at every unit against PyTorch's own, and their two terms against the paper's equation."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lab.inside import (
    LABELS,
    PIXELS,
    PLAIN,
    POSITIVE,
    TWO,
    VARIANTS,
    assert_unchanged,
    linear,
    state_of,
    tiny,
    tiny_vgg,
)
from residua import Network
from residua.lab.inside.gradients import gradient_norms, gradients, predicted_norms
from residua.lab.inside.passes import kept_pass
from residua.nets.modules import Subsample


def loss_of(logits: Tensor) -> Tensor:
    return F.cross_entropy(logits, LABELS, reduction="sum")


def gradients_by_torch(network: Network) -> list[Tensor]:
    """dE/dx of every unit's input and of the last one's output, in one backward pass through it all."""
    xs = [network.stem(PIXELS)]
    for unit in network.units:
        xs.append(unit(xs[-1] * 1))  # a copy, for some units overwrite what they get
    return list(torch.autograd.grad(loss_of(network.head(xs[-1] * 1)), xs))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("fields", [*VARIANTS.values(), PLAIN], ids=[*VARIANTS, "plain"])
def test_totals_are_pytorchs(fields: dict[str, Any], training: bool) -> None:
    network = tiny(fields, training)
    before = state_of(network)
    torch.manual_seed(1)  # dropout's draws
    with kept_pass(network, PIXELS, LABELS) as kept:
        found = kept.gradients()
    assert_unchanged(network, before)
    torch.manual_seed(1)
    for one, other in zip(found, gradients_by_torch(network), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_norms_are_means_of_the_samples_own() -> None:
    network = tiny()
    found = gradients(network, PIXELS, LABELS)
    norms = [each.flatten(1).norm(dim=1).mean().item() for each in gradients_by_torch(network)]
    assert [unit.norm for unit in found.units] == pytest.approx(norms[:-1], rel=1e-12)
    assert found.end == pytest.approx(norms[-1], rel=1e-12)
    assert gradient_norms(network, PIXELS, LABELS) == [*(unit.norm for unit in found.units), found.end]
    halves = [gradients(network, PIXELS[half], LABELS[half]).end for half in (slice(6), slice(6, 12))]
    assert found.end == pytest.approx(sum(halves) / 2, rel=1e-12)


SUMS: list[dict[str, Any]] = [
    {"order": "full_preactivation"},
    {"order": "relu_before_addition"},
    {"order": "full_preactivation", "shortcut": "scaling", "shortcut_scale": 0.5, "residual_scale": 0.25},
]


@pytest.mark.parametrize("fields", SUMS)
@pytest.mark.parametrize("training", [False, True])
def test_direct_and_through_the_weights_are_the_papers_terms(fields: dict[str, Any], training: bool) -> None:
    """dE/dx_l = dE/dx_L * (product of lambdas) + dE/dx_L * d(sum of F)/dx_l, the second taken by itself."""
    network = tiny(fields, training, units=(3, 1))
    found = gradients(network, PIXELS, LABELS)
    scale = fields.get("shortcut_scale", 1.0)
    last = gradients_by_torch(network)[3]
    for place in range(3):
        x = network.stem(PIXELS)
        for unit in network.units[:place]:
            x = unit(x)
        x = x.detach().requires_grad_()
        end = x * 1
        for unit in network.units[place:3]:
            end = unit(end)
        product = scale ** (3 - place)
        (through,) = torch.autograd.grad(end - product * x, x, last)
        terms = found.units[place].terms
        assert terms is not None and terms.exact and terms.until == "layer1.2"
        assert terms.product == pytest.approx(product, rel=1e-12)
        assert terms.direct == pytest.approx(mean_norm(product * last), rel=1e-12)
        assert terms.through == pytest.approx(mean_norm(through), rel=1e-10)
    assert found.units[3].terms is None and found.units[3].factor is None


def mean_norm(gradient: Tensor) -> float:
    return float(gradient.detach().flatten(1).norm(dim=1).mean())


@pytest.mark.parametrize(
    ("fields", "scale", "exact"),
    [
        ({"order": "relu_only_preactivation"}, 1.0, True),
        ({}, 1.0, False),  # the original order's ReLU lets positive numbers pass, but is there
        ({"order": "relu_only_preactivation", "shortcut": "scaling", "residual_scale": 1.0}, 0.5, True),
        ({"shortcut": "scaling", "shortcut_scale": 0.25, "residual_scale": 1.0}, 0.25, False),
    ],
)
def test_a_linear_network_of_known_weights(fields: dict[str, Any], scale: float, exact: bool) -> None:
    weights = [0.5, -0.125, 0.25]
    found = gradients(linear(weights, **fields), POSITIVE, TWO)
    whole = 1.0
    for place in (2, 1, 0):
        whole *= scale + weights[place]
        terms, product = found.units[place].terms, scale ** (3 - place)
        assert terms is not None and terms.exact is exact
        assert found.units[place].norm == pytest.approx(abs(whole) * found.end, rel=1e-12)
        assert terms.direct == pytest.approx(product * found.end, rel=1e-12)
        assert terms.through == pytest.approx(abs(whole - product) * found.end, rel=1e-12)
        assert predicted_norms(found)[place] == pytest.approx(product * found.end, rel=1e-12)


def test_a_bracket_near_zero_is_counted() -> None:
    network = linear([-0.5, -0.95], order="relu_only_preactivation")
    assert [unit.near_zero for unit in gradients(network, POSITIVE, TWO).units] == [1.0, 1.0]
    assert [unit.near_zero for unit in gradients(network, POSITIVE, TWO, near=0.03).units] == [1, 0]
    assert [unit.least for unit in gradients(network, POSITIVE, TWO).units] == pytest.approx([0.025, 0.05])
    mild = linear([0.5, -0.5], order="relu_only_preactivation")
    assert [unit.near_zero for unit in gradients(mild, POSITIVE, TWO).units] == [0.0, 0.0]


@pytest.mark.parametrize("name", ["exclusive gating", "shortcut-only gating"])
def test_a_gate_is_a_constant_and_its_lambda_the_mean(name: str) -> None:
    network = tiny(VARIANTS[name], order="full_preactivation", units=(2, 1))
    found = gradients(network, PIXELS, LABELS)
    x, gates = network.stem(PIXELS), []
    for unit in network.units[:2]:
        gates.append(1 - unit.gate(x).sigmoid())
        x = unit(x)
    means = [gate.mean().item() for gate in gates]
    assert [unit.factor for unit in found.units[:2]] == pytest.approx(means, rel=1e-12)
    terms = found.units[0].terms
    assert terms is not None and not terms.exact
    assert terms.product == pytest.approx(means[0] * means[1], rel=1e-12)
    last = gradients_by_torch(network)[2]
    assert terms.direct == pytest.approx(mean_norm(last * gates[0] * gates[1]), rel=1e-12)
    assert found.units[0].breaks == ("the shortcut is gated",)


@pytest.mark.parametrize(
    ("fields", "factors"),
    [
        ({"projection": "A"}, [1.0, 1.0, 1.0]),
        ({"projection": "B"}, [1.0, 1.0, None]),
        ({"projection": "C"}, [None, None, None]),
        ({"shortcut": "convolution"}, [None, None, None]),
        ({"shortcut": "scaling", "projection": "A"}, [0.5, 0.5, 0.5]),
        ({"shortcut": "scaling", "projection": "B"}, [0.5, 0.5, None]),
        (PLAIN, [None, None, None]),
    ],
)
def test_a_projection_begins_a_new_span_and_a_part_of_x_does_not(
    fields: dict[str, Any], factors: list[float | None]
) -> None:
    found = gradients(tiny(fields), PIXELS, LABELS)
    assert [unit.factor for unit in found.units] == factors
    assert [unit.terms is None for unit in found.units] == [factor is None for factor in factors]
    until = "layer1.1" if None in factors else "layer2.0"
    assert all(unit.terms.until == until for unit in found.units if unit.terms)


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("order", ["relu_before_addition", "original"])
def test_what_is_predicted_across_a_change_of_shape_is_what_was_passed_on(order: str, scale: float) -> None:
    """S passes every other position of the first channels on: the direct term is lambda^n S'dE/dx_L."""
    fields = {"shortcut": "scaling", "shortcut_scale": scale, "residual_scale": 1.0, "order": order}
    network = tiny(fields, projection="A")
    units = gradients(network, PIXELS, LABELS).units
    last = gradients_by_torch(network)[3]
    (shortcut,) = (module for module in network.modules() if isinstance(module, Subsample))
    taken = last[:, shortcut.front : last.shape[1] - shortcut.back]
    for place, unit in enumerate(units):
        assert unit.terms is not None
        assert unit.terms.end == pytest.approx(mean_norm(last), rel=1e-12)
        assert unit.terms.product == pytest.approx(scale ** (3 - place), rel=1e-12)
        assert unit.terms.predicted == pytest.approx(scale ** (3 - place) * mean_norm(taken), rel=1e-10)
        assert unit.terms.exact is (order != "original")
        if unit.terms.exact:
            assert unit.terms.direct == pytest.approx(unit.terms.predicted, rel=1e-10)


def test_a_vggs_gradients_are_pytorchs() -> None:
    network = tiny_vgg()
    found = gradients(network, PIXELS, LABELS)
    x = PIXELS.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss_of(network(x)), x)
    assert found.units[0].norm == pytest.approx(mean_norm(expected), rel=1e-10)
    assert [unit.name for unit in found.units] == [f"features.{place}" for place in (0, 3, 7, 10, 13)]


def test_no_gradient_is_wanted_from_outside() -> None:
    """It is measured under no_grad and inference_mode too, and as data."""
    network = tiny()
    expected = gradients(network, PIXELS, LABELS)
    with torch.inference_mode():
        assert gradients(network, PIXELS, LABELS) == expected
    with network.skip(1):
        skipped = gradients(network, PIXELS, LABELS).units[1]
    assert skipped.terms is not None and skipped.terms.through == 0.0
    assert expected.as_json()["units"][0]["terms"]["until"] == "layer1.1"
