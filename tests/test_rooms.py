"""The rooms of ARCHITECTURE.md: a room imports only from itself and from rooms below it."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "residua"
FLOORS = ("errors", "text", "files")
ROOMS = (*FLOORS, "nets", "weights", "data", "judging", "training", "deploy", "lab", "serving", "cli")
FILES = sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem in FLOORS)


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            found.add(node.module or "")
    return found


def only_the_version(path: Path) -> bool:
    """The package itself leads to every room, so a room may take nothing of it but the version."""
    nodes = ast.walk(ast.parse(path.read_text()))
    bare = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.module == "residua"]
    return all(alias.name == "__version__" for node in bare for alias in node.names)


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_only_rooms_below_it(path: Path) -> None:
    own = ROOMS.index(room(path))
    for module in imports(path):
        parts = module.split(".")
        if parts[0] == "residua":
            assert len(parts) > 1 or (module == "residua" and only_the_version(path)), (
                f"{path} imports upwards"
            )
        if parts[0] == "residua" and len(parts) > 1:
            assert ROOMS.index(parts[1]) <= own, f"{room(path)} must not import {module}"


def test_nets_needs_torch_alone() -> None:
    allowed = {"torch", "matplotlib", "residua"}  # matplotlib inside the drawing function only
    outside = {
        module.split(".")[0]
        for path in (SOURCE / "nets").rglob("*.py")
        for module in imports(path)
        if module.split(".")[0] not in __import__("sys").stdlib_module_names
    }
    assert outside <= allowed
