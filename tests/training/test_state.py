"""A state comes back from its checkpoint to the bit, and from no other's."""

from pathlib import Path
from typing import Any

import pytest
import torch

from residua.errors import UserError
from residua.training.keeping.checkpoint import newest
from residua.training.keeping.run import Run
from training.tiny import same, settings, to_the_end, training


def test_it_comes_back(tmp_path: Path) -> None:
    chosen = settings(average=0.9)
    work = to_the_end(tmp_path / "run", chosen)
    with Run.create_at(tmp_path / "other") as run:
        other = training(run, chosen)
    found = newest(tmp_path / "run" / "state")
    assert found
    other.state.restore(found)
    assert same(other.state.tensors(), work.state.tensors()) and other.state.facts() == work.state.facts()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": {"widths": (4, 4, 8)}}, r"has '.*' as \("),
        ({"network": {"units": (1, 1, 2)}}, "lacks tensor"),
        ({"average": 0.9}, "lacks tensor 'average"),
        ({"optimizer": "adamw"}, "lacks tensor '.*exp_avg"),
    ],
)
def test_one_of_other_settings_is_refused(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    to_the_end(tmp_path / "run", settings())
    found = newest(tmp_path / "run" / "state")
    with Run.create_at(tmp_path / "other") as run:
        other = training(run, settings(**changes))
    assert found
    with pytest.raises(UserError, match=said):
        other.state.restore(found)


@pytest.mark.parametrize("part", ["network", "average", "optimizer"])
def test_every_part_has_to_be_finite(part: str, tmp_path: Path) -> None:
    state = to_the_end(tmp_path / "run", settings(average=0.9)).state
    assert state.is_finite()
    tensors = state.tensors()
    name = next(name for name in tensors if name.startswith(part) and tensors[name].is_floating_point())
    with torch.no_grad():
        tensors[name].view(-1)[0] = float("nan")
    assert not state.is_finite()
