"""torchvision's and timm's own names, shapes and logits, recorded by scripts/write_library_fixtures.py."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import residua
from residua.weights.convert import read

ROOT = Path(__file__).parent.parent.parent
RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("libraries.json").read_text())


@pytest.fixture(scope="module")
def rule() -> ModuleType:
    """The script that recorded them, for its rule of weights and images."""
    spec = importlib.util.spec_from_file_location("recorder", ROOT / "scripts" / "write_library_fixtures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("case", RECORDED)
def test_their_file_computes_their_logits(case: str, rule: ModuleType, tmp_path: Path) -> None:
    library, name = case.split("/")
    state = {
        key: rule.filled(key, torch.Size(shape), torch.int64 if key.endswith("tracked") else torch.float32)
        for key, shape in RECORDED[case]["shapes"].items()
    }
    torch.save(state, tmp_path / "theirs.pth")
    found = read(tmp_path / "theirs.pth")
    assert found.spec.name == name and found.layout.split("-")[0] in (library, "torchvision")
    with torch.device("meta"):
        network = residua.create(found.spec).eval()
    network.load_state_dict(found.state, assign=True)
    for side, expected in RECORDED[case]["logits"].items():
        with torch.inference_mode():
            logits = network(rule.image(int(side)))[0, :8]
        theirs = torch.tensor(expected)
        assert (logits - theirs).norm() <= 1e-5 * theirs.norm()
