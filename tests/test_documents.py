"""What the documents say is true."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

import residua
from residua.data.sources.digits import write_folder
from residua.nets.spec import Norm, Order, Shortcut

ROOT = Path(__file__).parent.parent


def test_every_field_and_value_is_documented() -> None:
    text = (ROOT / "docs" / "fields.md").read_text()
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row[1])]
    assert named == [field.name for field in fields(residua.Spec) if field.name != "name"]
    for kind in (Order, Shortcut, Norm):
        assert all(f"`{value}`" in text for value in get_args(kind))
    assert all(f"`{field.name}`" in text for field in fields(residua.VggSpec) if field.name != "name")


def python_of(document: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    blocks = python_of("README.md")
    assert len(blocks) == 4
    scope: dict[str, object] = {
        "residua": residua,
        "net": residua.create("cifar_resnet62").eval(),
        "images": torch.randn(2, 3, 32, 32),
        "batches": [torch.randn(2, 3, 32, 32)],
    }
    exec(blocks[0], {})  # noqa: S102 - our own README
    exec(blocks[1], scope)  # noqa: S102
    monkeypatch.chdir(tmp_path)
    exec(blocks[2], {"residua": residua})  # noqa: S102
    exec(blocks[3], {"residua": residua, "batch": torch.zeros(3, 3, 64, 64)})  # noqa: S102


@pytest.mark.parametrize(
    "document",
    [
        "data.md",
        "check.md",
        "packing.md",
        "augmentation.md",
        "recipes.md",
        "training.md",
        "evaluate.md",
        "report.md",
    ],
)
def test_the_python_of_the_documents_runs(
    document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESIDUA_CACHE", str(tmp_path / "cache"))
    (block,) = python_of(f"docs/{document}")
    exec(block, {})  # noqa: S102 - our own document


def test_the_links_of_the_documents_lead_somewhere() -> None:
    for document in (ROOT / "README.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)|src=\"([^\"]+)\"", document.read_text()):
            assert (document.parent / (link[0] or link[1])).exists(), link
