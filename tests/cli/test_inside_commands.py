"""The commands that look inside a network: figures, tables, JSON, and mistakes in one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

import residua
from residua.cli import app
from residua.errors import UserError
from residua.weights.metadata import Preprocessing

pytestmark = pytest.mark.usefixtures("own_folders")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = residua.create("tiny_resnet", units=(2, 2), num_classes=10)
    classes = [str(digit) for digit in range(10)]
    return residua.save(
        network, tmp_path / "mine.safetensors", classes=classes, preprocessing=Preprocessing(size=8, resize=8)
    )


def run(*words: Any) -> Result:
    return CliRunner().invoke(app, [*map(str, words), "--workers", "0", "--limit", "40"])


def test_lesions_of_a_model_file(model: Path) -> None:
    done = run("lesion", model, "digits", "--json", "--draws", 3, "-o", "mine.svg")
    assert done.exit_code == 0 and done.stderr == ""
    told = json.loads(done.stdout)
    assert (told["model"], told["fresh"], told["samples"]) == (str(model), False, 40)
    assert [unit["name"] for unit in told["lesions"]["units"]] == [
        f"layer{s}.{i}" for s in (1, 2) for i in (0, 1)
    ]
    assert told["lesions"]["error"] == told["at_random"]["error"] == told["swaps"]["error"]
    assert Path("mine.svg").read_text().startswith("<?xml")


def test_what_was_measured_is_printed_though_its_figure_cannot_be_written(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise UserError("mine.svg cannot be written: No space left on device.")

    monkeypatch.setattr("residua.lab.inside.style.save_figure", full)
    done = run("responses", model, "digits", "--json", "-o", "mine.svg")
    assert isinstance(done.exception, UserError) and json.loads(done.stdout)["responses"]


def test_classes_that_the_model_calls_otherwise_are_mapped(tmp_path: Path) -> None:
    network = residua.create("tiny_resnet", num_classes=10)
    classes = [f"number {digit}" for digit in range(10)]
    rule = Preprocessing(size=8, resize=8)
    model = residua.save(network, tmp_path / "named.safetensors", classes=classes, preprocessing=rule)
    Path("map.csv").write_text("folder,class\n" + "".join(f"{digit},number {digit}\n" for digit in range(10)))
    done = run("responses", model, "digits")
    assert isinstance(done.exception, UserError) and "--class-map" in str(done.exception)
    assert run("gradients", model, "digits", "--class-map", "map.csv").exit_code == 0


def test_numbers_that_json_does_not_have_are_null(tmp_path: Path) -> None:
    network = residua.create("tiny_resnet", num_classes=10)
    with torch.no_grad():
        network.fc.weight.fill_(3e38)  # with which no answer is a number
    rule = Preprocessing(size=8, resize=8)
    model = residua.save(
        network, tmp_path / "odd.safetensors", classes=[*map(str, range(10))], preprocessing=rule
    )
    done = run("gradients", model, "digits", "--json", "-o", "odd.svg")
    assert done.exit_code == 0
    told = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert told["gradients"]["end"] is None


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("lesion", "left out at random"),
        ("paths", "of the gradient."),
        ("responses", "layer2.0.conv2"),
        ("gradients", "sum does not hold"),
    ],
)
def test_an_untrained_network_by_name(command: str, words: str) -> None:
    Path("tiny_resnet").mkdir()  # a folder of the same name hides no network
    done = run(command, "tiny_resnet", "digits", "--out", "figure.png")
    assert done.exit_code == 0 and "tiny_resnet is untrained" in done.stderr
    assert words in done.stdout
    assert "40 pictures of digits" in done.stdout and "figure: figure.png" in done.stdout
    assert Path("figure.png").read_bytes().startswith(b"\x89PNG")


def test_the_seed_decides() -> None:
    first, again, other = (
        run("gradients", "tiny_resnet", "digits", "--json", "--seed", s).stdout for s in (0, 0, 1)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("lesion", "tiny_resnot", "digits"), "did you mean tiny_resnet"),
        (("responses", "gone.safetensors", "digits"), "gone.safetensors"),
        (("paths", "cifar_plain20", "digits"), "no shortcuts"),
        (("gradients", "tiny_resnet", "nowhere"), "nowhere"),
        (("lesion", "tiny_resnet", "digits", "-o", "figure.jpeg"), "must end in .svg or .png"),
        (("lesion", "tiny_resnet", "digits", "-o", "nowhere/figure.png"), "no folder 'nowhere'"),
        (("lesion", "tiny_resnet", "digits", "--draws", "0"), "draws=0"),
        (("responses", "tiny_resnet", "digits", "--part", "tset"), "unknown part 'tset'"),
    ],
)
def test_mistakes_are_one_sentence(words: tuple[str, ...], sentence: str) -> None:
    done = run(*words)
    assert isinstance(done.exception, UserError) and done.stdout == ""
    assert sentence in str(done.exception)


def test_the_python_of_the_document_runs() -> None:
    document = Path(__file__).parent.parent.parent / "docs" / "inside.md"
    blocks = document.read_text().split("```python\n")[1:]
    assert len(blocks) == 2
    for block in blocks:
        exec(block.split("```")[0], {})  # noqa: S102 - our own document
    assert Path("lesions.svg").exists()
