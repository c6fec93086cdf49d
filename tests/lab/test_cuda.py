"""The same measurements on a GPU, where there is one."""

import json
from pathlib import Path

import pytest
import torch

from lab.inside import BATCHES, LABELS, PIXELS, tiny
from lab.sweeping import TINY, experiment, packed_digits
from residua.lab.experiment import MEASUREMENTS
from residua.lab.inside import lesions
from residua.lab.inside.gradients import gradients
from residua.lab.inside.paths import paths
from residua.lab.inside.responses import responses
from residua.lab.running import run_experiment

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


def test_trials_run_on_a_gpu_and_are_not_those_of_a_processor(tmp_path: Path) -> None:
    """A VGG pools to 7x7, whose usual gradient is not deterministic there."""
    vgg = {"network": "vgg16_bn", "convolutions": [1, 1, 1], "widths": [8, 8, 8], "hidden": 16}
    made = experiment(networks={"a": TINY, "vgg": vgg}, measurements=MEASUREMENTS, claims=[])
    data = packed_digits(tmp_path)
    there, here = (
        run_experiment(made, data=data, out=tmp_path / "lab", seeds=1, device=device, report=False)
        for device in ("cuda", "cpu")
    )
    again = run_experiment(
        made, data=data, out=tmp_path / "again", seeds=1, jobs=1, device="cuda", report=False
    )
    assert there.complete and here.complete
    assert [row.values for row in again.rows] == [row.values for row in there.rows]
    assert not {row.trial for row in there.rows} & {row.trial for row in here.rows}
    run = tmp_path / "lab" / "trials" / there.rows[0].trial
    assert json.loads((run / "made.json").read_text())["device"] == "cuda"
    for one, other in zip(there.rows, here.rows, strict=True):
        assert abs(one.values["error"] - other.values["error"]) < 20
