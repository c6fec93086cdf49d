"""The installed command, as a user runs it: data on standard output, one sentence for a mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import residua
from residua.nets.zoo import NAMES


def run(*words: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "residua", *words]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env={**os.environ, **environment}, check=False
    )


def test_models_lists_all_and_a_pattern() -> None:
    listed = json.loads(run("models", "--json").stdout)
    assert [row["name"] for row in listed] == list(NAMES)
    assert all(set(row) == {"name", "depth", "parameters", "multiply_adds", "input_size"} for row in listed)
    table = run("models", "resnet5?")
    assert table.returncode == 0 and table.stderr == ""
    assert "25,557,032" in table.stdout and "resnet101" not in table.stdout


def test_describe_as_data_equals_the_plan() -> None:
    data = json.loads(run("describe", "resnet50", "--json").stdout)
    plan = residua.plan(residua.spec("resnet50"))
    assert (data["name"], data["depth"]) == ("resnet50", 50)
    assert (data["parameters"], data["multiply_adds"]) == (plan.parameters, plan.multiply_adds)
    assert sum(group["parameters"] for group in data["groups"]) == plan.parameters
    assert [group["output_size"] for group in data["groups"]] == [112, 56, 56, 28, 14, 7, 1]
    assert data["groups"][2] | {"units": 3, "layers": ["1x1, 64", "3x3, 64", "1x1, 256"]} == data["groups"][2]


def test_describe_takes_edits_and_a_size() -> None:
    words = ("num_classes=10", "in_channels=1", "projection=A", "units=3,4,23,3", "residual=true")
    data = json.loads(run("describe", "resnet50", *words, "--size", "96", "--json").stdout)
    spec = residua.spec("resnet101", num_classes=10, in_channels=1, projection="A")
    plan = residua.plan(spec, 96)
    assert data["multiply_adds"] == plan.multiply_adds
    made = {"num_classes": 10, "in_channels": 1, "units": [3, 4, 23, 3], "projection": "A"}
    assert data["changes"] == made


def test_describe_prints_the_papers_table() -> None:
    text = run("describe", "resnet50", COLUMNS="80").stdout
    for expected in ("conv4_x", "14x14", "3x3, 256", "x 6", "depth 50", "25,557,032", "4,089,184,256"):
        assert expected in text
    assert "receptive field 427" in text and "MiB in training" in text


def test_describe_compares_with_the_first() -> None:
    text = run("describe", "vgg19", "resnet34", "plain34").stdout
    assert "(15.2% and 18.7% of vgg19)" in text and "(15.1% and 18.6% of vgg19)" in text
    assert "(-1.44 M par, -5.14 G mul-adds)" in text
    data = json.loads(run("describe", "vgg19", "resnet34", "--json").stdout)
    assert [each["name"] for each in data] == ["vgg19", "resnet34"]


def test_describe_says_why_a_wide_net_has_another_depth() -> None:
    done = run("describe", "cifar_wrn28_10")
    assert "depth 26" in done.stdout and "adds three projections" in done.stdout


def test_describe_draws(tmp_path: Path) -> None:
    done = run("describe", "tiny_resnet", "--plot", "tiny.svg", folder=tmp_path)
    assert done.returncode == 0 and (tmp_path / "tiny.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("describe", "resnet51"), "unknown network 'resnet51': did you mean resnet50"),
        (("describe", "cifar_resnet21"), "the nearest are cifar_resnet20 and cifar_resnet26."),
        (("describe", "resnet50", "oder=original"), "unknown field of resnet50 'oder': did you mean order"),
        (("describe", "resnet50", "order=x"), "order='x' is not valid: valid are 'original'"),
        (("describe", "resnet50", "width=wide"), "width='wide' is not valid: valid is a number."),
        (("describe", "resnet50", "num_classes="), "num_classes='' is not valid"),
        (("describe", "num_classes=3"), "which network?"),
        (("describe", "resnet50", "--size", "0"), "size=0 is not valid"),
        (("describe", "vgg16", "--size", "8"), "needs a side of at least 32"),
        (("describe", "resnet18", "--plot", "x.jpeg"), "x.jpeg"),
        (("describe", "resnet18", "--plot", "/nowhere/x.svg"), "/nowhere"),
        (("describe", "resnet50", "order=original", "order=original"), "order is given twice"),
        (("describe", "resnet50", "vgg19", "stem_width=32"), "unknown field of vgg19 'stem_width'"),
        (("describe", "resnet50", "name=x"), "unknown field of resnet50 'name'"),
        (("describe", "resnet50", "units=3,,4,3"), "units='3,,4,3'"),
        (("models", "zzz"), "no network matches 'zzz'"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(words: tuple[str, ...], sentence: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr and done.stderr.startswith("residua: ")
    assert done.stderr.count("\n") == 1


def test_an_unknown_command_offers_the_nearest() -> None:
    done = run("modles")
    assert done.returncode == 2 and "models" in done.stderr and "Traceback" not in done.stderr


def test_a_full_disk_is_no_traceback() -> None:
    command = f"{sys.executable} -m residua models"
    full = subprocess.run(["sh", "-c", f"{command} > /dev/full"], capture_output=True, text=True, check=False)
    assert full.returncode == 2 and "No space left" in full.stderr and "Traceback" not in full.stderr


@pytest.mark.parametrize("words", [("models",), ("models", "--json"), ("--help",)])
def test_a_closed_pipe_ends_it_in_silence_as_other_programs(words: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "residua", *words]
    closed = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (closed.returncode, closed.stderr) == (141, b"")


def test_a_sentence_is_one_line_whatever_a_path_holds() -> None:
    done = run("inspect", "no\nsuch\x1b[31m\udcfffile")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(r"residua: no\nsuch\x1b[31m\xfffile cannot be read")


def test_an_internal_error_says_how_to_see_more(monkeypatch: pytest.MonkeyPatch) -> None:
    from residua import cli

    def broken() -> None:
        raise KeyError("lost")

    monkeypatch.setattr(cli, "app", broken)
    monkeypatch.delenv("RESIDUA_DEBUG", raising=False)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 70


def test_too_little_memory_is_said_as_such(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from residua import cli

    monkeypatch.setattr(cli, "app", lambda: torch.empty(2**60, dtype=torch.uint8))
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("residua: there is not enough memory: choose ")


@pytest.mark.parametrize("words", [("--help",), ("models",), ("models", "--json"), ("describe", "resnet50")])
def test_torch_is_not_imported_for_what_needs_no_torch(words: tuple[str, ...]) -> None:
    """Importing torch alone takes more than the promised half second."""
    code = "import sys, residua.cli as c; sys.argv = ['residua', *sys.argv[1:]]\n"
    code += "try: c.main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_residua_imports_nothing_heavy() -> None:
    code = "import sys, residua; assert not {'torch', 'typer', 'rich', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there() -> None:
    assert all(getattr(residua, name) is not None for name in residua.__all__)
    assert set(residua.__all__) <= set(dir(residua))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        residua.nothing  # noqa: B018


def test_no_word_of_a_model_file_reaches_the_terminal_as_a_command(tmp_path: Path) -> None:
    from residua.weights.metadata import Metadata, Provenance
    from residua.weights.modelfile import write_model

    net, evil = residua.create("tiny_resnet"), "\x1b]0;title\x07\x9b31m"
    stated = Metadata(
        spec=net.spec.edit(name=evil), provenance=Provenance(source=evil, layout=evil, steps=(evil,))
    )
    write_model(tmp_path / "evil.safetensors", net.state_dict(), stated)
    for words in (
        ("inspect", "evil.safetensors"),
        ("convert", "evil.safetensors", "-o", "again.safetensors"),
    ):
        for more in ((), ("--json",)):
            done = run(*words, *more, folder=tmp_path)
            assert done.returncode == 0 and not {"\x1b", "\x9b"} & set(done.stdout + done.stderr)
