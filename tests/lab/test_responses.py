"""Layer responses against the same numbers taken from the modules by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import residua
from lab.inside import BATCHES, PIXELS, PLAIN, VARIANTS, assert_unchanged, failing, state_of, tiny, tiny_vgg
from residua import UserError
from residua.lab.inside import lesions
from residua.lab.inside.responses import Moments, measured_places, responses


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.floats(-1e3, 1e3), max_size=6), min_size=1, max_size=6),
    st.sampled_from([0.0, 1e6]),
)
def test_moments_of_portions_are_those_of_the_whole(portions: list[list[float]], offset: float) -> None:
    moments = Moments()
    for portion in portions:
        moments.add(torch.tensor(portion, dtype=torch.float64) + offset)
    whole = np.concatenate([np.array(portion, float) for portion in portions]) + offset
    if whole.size:
        assert moments.count == whole.size
        assert moments.mean == pytest.approx(whole.mean(), abs=1e-6)
        assert moments.deviation == pytest.approx(whole.std(), rel=1e-6, abs=1e-5)


def outputs_by_hand(fields: dict[str, Any]) -> dict[str, Tensor]:
    """The first unit's two responses, with the unit's own modules."""
    network = tiny(fields)
    part = network.units[0].get_submodule
    x = network.stem(PIXELS)
    if fields.get("order") == "full_preactivation":  # whose first activation is the stem's
        first = part("bn2")(part("conv1")(x))
        return {"layer1.0.conv1": first, "layer1.0.conv2": part("conv2")(first.relu())}
    first = part("bn1")(part("conv1")(x))
    second = part("conv2")(first.relu())
    after = fields.get("order") == "bn_after_addition"
    return {"layer1.0.conv1": first, "layer1.0.conv2": second if after else part("bn2")(second)}


@pytest.mark.parametrize("name", ["original", "bn after addition", "relu before addition", "full"])
@torch.no_grad()
def test_a_response_is_taken_before_the_nonlinearity_and_the_addition(name: str) -> None:
    found = {each.layer: each for each in responses(tiny(VARIANTS[name]), BATCHES).layers}
    for layer, expected in outputs_by_hand(VARIANTS[name]).items():
        assert found[layer].deviation == pytest.approx(expected.numpy().std(), rel=1e-12)
        assert found[layer].mean == pytest.approx(expected.numpy().mean(), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(
    ("fields", "last", "count"),
    [
        (VARIANTS["original"], "norm", 7),
        (VARIANTS["bn after addition"], "convolution", 7),
        (VARIANTS["relu before addition"], "norm", 7),
        (VARIANTS["relu-only"], "norm", 7),
        (VARIANTS["full"], "convolution", 7),
        (VARIANTS["bottleneck"], "convolution", 10),
        (VARIANTS["projections"], "norm", 7),  # projections are on no main path
        (VARIANTS["without norm"], "convolution", 7),
        (PLAIN, "norm", 7),
    ],
)
def test_layers_are_the_main_paths_in_order(fields: dict[str, Any], last: str, count: int) -> None:
    places = measured_places(tiny(fields))
    assert [layer for layer, _, _ in places][:2] == ["conv1", "layer1.0.conv1"]
    assert (len(places), places[-1][2]) == (count, last)


def test_a_vggs_layers() -> None:
    found = responses(tiny_vgg(), BATCHES)
    assert [each.layer for each in found.layers] == [f"features.{place}" for place in (0, 3, 7, 10, 13)]
    assert {each.measured for each in found.layers} == {"norm"} and found.samples == 12


def test_batches_do_not_matter_and_types_are_fitted() -> None:
    network = tiny()
    one = responses(network, [(PIXELS.float().double(), torch.zeros(12))])
    three = responses(network, [(PIXELS[i : i + 5].float(), torch.zeros(5)) for i in (0, 5, 10)])
    for each, other in zip(one.layers, three.layers, strict=True):
        assert each.deviation == pytest.approx(other.deviation, rel=1e-12)


def test_the_network_is_left_as_it_was() -> None:
    network = tiny(training=True)
    before = state_of(network)
    found = responses(network, BATCHES)
    assert_unchanged(network, before)
    with pytest.raises(RuntimeError, match="disk"):
        responses(network, failing())
    assert_unchanged(network, before)
    assert found == responses(network.eval(), BATCHES)


def test_units_that_are_left_out_respond_no_more() -> None:
    network = tiny()
    with network.remove(1):
        layers = [each.layer for each in responses(network, BATCHES).layers]
    assert layers == ["conv1", *(f"layer{n}.0.conv{m}" for n in (1, 2) for m in (1, 2))]


def test_no_pictures_are_no_responses() -> None:
    with pytest.raises(UserError, match="at least one picture"):
        residua.responses(tiny(), [])


@pytest.mark.parametrize(
    "measure",
    [
        lambda network: residua.responses(network, [(torch.zeros(1, 4), torch.zeros(1, dtype=torch.long))]),
        lambda network: residua.gradients(network, torch.zeros(1, 4), torch.zeros(1, dtype=torch.long)),
        lambda network: residua.paths(network, torch.zeros(1, 4), torch.zeros(1, dtype=torch.long)),
        lambda network: lesions.each(network, [(torch.zeros(1, 4), torch.zeros(1, dtype=torch.long))]),
    ],
)
def test_a_network_of_another_library_is_said_to_be_one(measure: Callable[[Any], object]) -> None:
    with pytest.raises(UserError, match="a Linear is no network of Residua: convert its weights"):
        measure(torch.nn.Linear(4, 2))
