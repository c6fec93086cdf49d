"""The same measurements on a GPU, where there is one."""

import pytest
import torch

from lab.inside import BATCHES, LABELS, PIXELS, tiny
from residua.lab.inside import lesions
from residua.lab.inside.gradients import gradients
from residua.lab.inside.paths import paths
from residua.lab.inside.responses import responses

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_a_gpu_measures_the_same() -> None:
    here, there = tiny(), tiny().cuda()
    assert lesions.each(there, BATCHES) == lesions.each(here, BATCHES)
    assert lesions.at_random(there, BATCHES) == lesions.at_random(here, BATCHES)
    assert lesions.swaps(there, BATCHES) == lesions.swaps(here, BATCHES)
    for one, other in zip(responses(there, BATCHES).layers, responses(here, BATCHES).layers, strict=True):
        assert one.deviation == pytest.approx(other.deviation, rel=1e-9)
    ours, theirs = (gradients(network, PIXELS, LABELS) for network in (here, there))
    assert [unit.norm for unit in theirs.units] == pytest.approx([unit.norm for unit in ours.units], rel=1e-9)
    first, second = (paths(network, PIXELS, LABELS).lengths for network in (here, there))
    assert [each.magnitude for each in second] == pytest.approx([each.magnitude for each in first], rel=1e-9)
