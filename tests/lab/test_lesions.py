"""Lesions against the network's own `skip` and `swap`, which take every trial from the start."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau
from torch import Tensor, nn

from lab.inside import (
    BATCHES,
    LABELS,
    PIXELS,
    PLAIN,
    VARIANTS,
    assert_unchanged,
    failing,
    state_of,
    tiny,
    tiny_vgg,
)
from residua import Network, UserError, Vgg
from residua.lab.inside.lesions import (
    Drawn,
    Lesion,
    RandomLesions,
    at_random,
    each,
    kendall_tau,
    removable,
    swappable,
    swaps,
    usual_counts,
)
from residua.lab.inside.parts import InapplicableError


@torch.no_grad()
def error_of(network: Network | Vgg) -> float:
    return 100 * float((network(PIXELS).argmax(1) != LABELS).double().mean())


def labelled(network: Network | Vgg) -> list[tuple[Tensor, Tensor]]:
    """Batches of which the network, whole, gets most right: so a lesion is seen in the error."""
    with torch.no_grad():
        labels = network(PIXELS).argmax(1)
    return [(PIXELS[:8], labels[:8]), (PIXELS[8:], labels[8:])]


@pytest.mark.parametrize("fields", VARIANTS.values(), ids=VARIANTS)
def test_each_unit_is_left_out_as_skipping_does(fields: dict[str, Any]) -> None:
    network = tiny(fields)
    batches = labelled(network)
    found = each(network, batches)
    assert (found.samples, found.error) == (12, 0.0)
    assert [unit.name for unit in found.units] == ["layer1.0", "layer1.1", "layer2.0"]
    for unit in found.units:
        with network.skip(unit.name):
            wrong = sum(int((network(x).argmax(1) != y).sum()) for x, y in batches)
        assert unit.error == 100 * wrong / 12
    assert any(unit.error for unit in found.units)
    assert [100 * found.missed[u.name].sum() / 12 for u in found.units] == [u.error for u in found.units]
    assert not found.missed[""].any() and "missed" not in found.as_json()


def test_a_plain_unit_that_changes_the_shape_stays() -> None:
    found = each(tiny(PLAIN), BATCHES)
    assert [unit.error is None for unit in found.units] == [False, False, True]
    with pytest.raises(InapplicableError, match="nothing can be left out"):
        each(tiny(PLAIN, units=(1, 1), stem_width=2), BATCHES)
    assert (removable(tiny(PLAIN)), removable(tiny()), removable(tiny_vgg())) == (2, 3, 3)


def test_a_vggs_convolution_goes_with_its_norm_and_its_relu() -> None:
    network = tiny_vgg()
    batches = labelled(network)
    found = each(network, batches)
    names = [unit.name for unit in found.units]
    assert names == [f"features.{place}" for place in (0, 3, 7, 10, 13)]
    assert [unit.error is None for unit in found.units] == [True, False, True, False, False]
    for place, unit in zip((0, 3, 7, 10, 13), found.units, strict=True):
        if unit.error is not None:
            layers = list(network.features)
            rest = tiny_vgg()
            rest.features = nn.Sequential(*layers[:place], *layers[place + 3 :])
            rest.classifier = network.classifier
            wrong = sum(int((rest.eval()(x).argmax(1) != y).sum()) for x, y in batches)
            assert unit.error == 100 * wrong / 12


@pytest.mark.parametrize("network", [tiny(units=(3, 2)), tiny(VARIANTS["full"], units=(3, 2)), tiny_vgg()])
def test_what_lies_before_a_lesion_runs_once(network: Network | Vgg) -> None:
    """The share that is said to be saved is what is saved: units are counted as they run."""
    modules = network.units if isinstance(network, Network) else network.features
    units = [module for module in modules if not isinstance(module, nn.BatchNorm2d | nn.ReLU | nn.MaxPool2d)]
    runs = [0]

    def count(*_: Any) -> None:
        runs[0] += 1

    # A unit that is left out still runs its shortcut, but is not called.
    handles = [unit.register_forward_hook(count) for unit in units]
    found = each(network, BATCHES)
    for handle in handles:
        handle.remove()
    lesions = sum(unit.error is not None for unit in found.units)
    plainly = len(units) + lesions * (len(units) - 1)
    assert runs[0] == len(BATCHES) * round((1 - found.saved) * plainly)
    assert found.saved > 0.3


def test_units_left_out_at_random() -> None:
    network = tiny(units=(4, 3))
    batches = labelled(network)
    found = at_random(network, batches, counts=(1, 3, 7), draws=8)
    assert [(row.count, len(row.trials)) for row in found.rows] == [(1, 7), (3, 8), (7, 1)]
    for trial in (trial for row in found.rows for trial in row.trials):
        with network.skip(*trial.units):
            wrong = sum(int((network(x).argmax(1) != y).sum()) for x, y in batches)
        assert trial.error == 100 * wrong / 12 and trial.tau is None
    assert found.error == 0.0 and found.rows[2].median == found.rows[2].trials[0].error
    low, middle, high = found.rows[1].quartiles
    assert low <= middle <= high


def drawn(*rows: tuple[int, list[float]]) -> RandomLesions:
    """Random lesions of so many units, with these errors; the whole network's is 10."""
    found = (Drawn(count, tuple(Lesion(("a",) * count, error) for error in errors)) for count, errors in rows)
    return RandomLesions(10, 10.0, 0, tuple(found))


def test_an_error_that_rises_smoothly_is_told_from_one_that_jumps() -> None:
    assert drawn((1, [20, 30]), (2, [40, 50]), (3, [60, 70])).rise == 1.0
    assert drawn((1, [9, 8]), (2, [7])).rise == -1.0
    assert drawn((1, [90, 90]), (2, [90, 90]), (3, [90])).rise == pytest.approx(5 / 13)
    assert drawn((1, [10]), (2, [10])).rise == 0.0


def test_pairs_swapped_at_random() -> None:
    network = tiny(units=(4, 3))
    batches = labelled(network)
    found = swaps(network, batches, counts=(1, 2, 5), draws=6)
    for row in found.rows:
        for trial in row.trials:
            pairs = list(zip(trial.units[::2], trial.units[1::2], strict=True))
            assert len(set(pairs)) == row.count
            order = list(network.units)
            with ExitStack() as stack:
                for one, other in pairs:
                    stack.enter_context(network.swap(one, other))
                wrong = sum(int((network(x).argmax(1) != y).sum()) for x, y in batches)
                places = [order.index(unit) for unit in network.units]
            assert trial.error == 100 * wrong / 12
            assert trial.tau == pytest.approx(kendalltau(range(7), places).statistic)
    assert any(trial.error for row in found.rows for trial in row.trials)
    assert swaps(tiny_vgg(), BATCHES, counts=(1,), draws=1).rows[0].trials[0].units == (
        "features.10",
        "features.13",
    )


@settings(max_examples=40)
@given(st.integers(2, 12).flatmap(lambda count: st.permutations(range(count))))
def test_kendalls_tau_is_scipys(order: list[int]) -> None:
    assert kendall_tau(order) == pytest.approx(kendalltau(range(len(order)), order).statistic)


def test_draws_are_a_function_of_the_seed() -> None:
    network = tiny(units=(4, 3))
    for measure in (at_random, swaps):
        first, again, other = (measure(network, BATCHES, counts=(2,), draws=4, seed=s) for s in (0, 0, 1))
        assert first == again
        assert [t.units for t in first.rows[0].trials] != [t.units for t in other.rows[0].trials]


def batches_in_training(network: Network) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches whose source looks at the network meanwhile."""
    for batch in BATCHES:
        assert not network.training
        yield batch


@pytest.mark.parametrize("measure", [each, at_random, swaps])
def test_the_network_is_left_as_it_was(measure: Any) -> None:
    network = tiny(training=True)
    network.units[1].eval()  # modes of single modules too
    before = state_of(network)
    measure(network, batches_in_training(network))
    assert_unchanged(network, before)
    with pytest.raises(RuntimeError, match="disk"):
        measure(network, failing())
    assert_unchanged(network, before)


@pytest.mark.parametrize(
    ("measure", "network", "options", "sentence"),
    [
        (at_random, tiny(), {"counts": (1, 4)}, "counts=4 is not valid: this network has 3 units"),
        (at_random, tiny(), {"counts": (0,)}, "counts=0"),
        (at_random, tiny(), {"draws": 0}, "draws=0"),
        (swaps, tiny(units=(2, 1)), {"counts": (2,)}, "counts=2 is not valid: this network has 1 pairs"),
        (swaps, tiny(units=(1, 1)), {}, "nothing can be swapped"),
        (each, tiny(), {"batches": []}, "at least one picture"),
    ],
)
def test_mistakes_are_said(measure: Any, network: Network, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        measure(network, **{"batches": BATCHES, **options})


def test_counts_that_nobody_asked_for() -> None:
    assert usual_counts(3) == [1, 2, 3] and usual_counts(1) == [1]
    assert usual_counts(54)[-1] == 20 and len(usual_counts(54)) == 8
    assert swappable(tiny()) and not swappable(tiny(units=(1, 1)))
