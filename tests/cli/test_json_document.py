"""What docs/json.md says commands print."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import residua
from cli.commands import Command

TEXT = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
SHAPES = {
    name: yaml.safe_load(shape)
    for names, shape in re.findall(r"^\| (`.*`) \| `([\[{].*?)`", TEXT, re.MULTILINE)
    for name in re.findall(r"`(.*?)`", names)
}


def agrees(value: Any, shape: Any) -> bool:
    """Whether a value has the keys of a shape; None stands for whatever there is."""
    if isinstance(shape, list):
        return isinstance(value, list) and bool(value) and all(agrees(each, shape[0]) for each in value)
    if isinstance(shape, dict):
        return value.keys() == shape.keys() and all(agrees(value[name], shape[name]) for name in shape)
    return True


@pytest.mark.parametrize(
    "command",
    [
        "models cifar_resnet20",
        "describe tiny_resnet",
        "weights resnet18",
        "convert model.safetensors --to torchvision -o model.pth",
        "inspect model.safetensors",
        "pack digits digits.packed",
        "lesion tiny_resnet digits --limit 32",
        "paths tiny_resnet digits --limit 32",
        "responses tiny_resnet digits --limit 32",
        "gradients tiny_resnet digits --limit 32",
        "lab list",
        "lab run tables",
    ],
)
def test_a_command_prints_what_the_document_says(
    command: str, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESIDUA_CACHE", str(tmp_path / "cache"))
    residua.save(residua.create("resnet18", num_classes=2), "model.safetensors")
    words = command.split()
    (shape,) = (SHAPES[name] for name in (words[0], " ".join(words[:2])) if name in SHAPES)
    done = run(*words, "--json")
    assert done.code == 0, done.stderr
    assert agrees(json.loads(done.stdout), shape)
