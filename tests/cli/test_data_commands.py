"""The data commands as a user runs them: data on standard output, an exit code that says how it went."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from cli.commands import Command
from data.trouble import BAD, TRAITS, write_trouble
from residua.cli import tables
from residua.data.checking import report
from residua.data.packing.packed import open_pack
from residua.data.sources.recognition import open_data
from residua.data.splitting import apply_split
from residua.errors import UserError

EVIL = os.fsdecode(b"\xff[red]<script>\n\x1b[31m=cmd" + b"x" * 200 + b".png")


@pytest.fixture(scope="module")
def trouble(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_trouble(tmp_path_factory.mktemp("trouble"))
    shutil.copy(root / "train/dog/0.png", root / "train/dog" / EVIL)
    return root


pytestmark = pytest.mark.usefixtures("own_folders")


def test_clean_data_exits_with_0_and_a_table(run: Command) -> None:
    done = run("check", "digits")
    assert (done.code, done.stderr) == (0, "")
    for expected in ("1,797 pictures in 10 classes, all 8 x 8 pixels", "split by Residua", "Clean: nothing"):
        assert expected in done.stdout


def test_json_is_all_of_standard_output_and_loses_no_name(run: Command, trouble: Path) -> None:
    done = run("check", trouble, "--json", "--max-bad", "0.5")
    found = json.loads(done.stdout)
    assert (done.code, found["exit"], done.stderr) == (1, 1, "")
    assert found["images"] == sum(found["classes"].values()) == sum(found["splits"].values()) + len(BAD)
    assert (found["data"], found["kind"], found["split_made"]) == (str(trouble), "splits", False)
    assert [bad["path"] for bad in found["bad"]] == [f"train/cat/{name}" for name in BAD]
    assert set(found["traits"]) == set(TRAITS)
    assert ["train/dog/0.png", f"train/dog/{EVIL}"] in [each["paths"] for each in found["duplicates"]]
    assert found["sizes"]["width"]["max"] == 40 and found["unusable"] is None


def test_no_name_reaches_the_terminal_as_a_command(run: Command, trouble: Path) -> None:
    done = run("check", trouble, "--max-bad", "0.5")
    assert "\\xff[red]<script>\\n\\x1b[31m=cmd" in done.stdout and "\x1b" not in done.stdout
    assert "Unreadable pictures: 5" in done.stdout and "and 1 more" in done.stdout


def test_unusable_data_exits_with_2_and_still_says_what_it_is(
    run: Command, trouble: Path, tmp_path: Path
) -> None:
    done = run("check", trouble, "--json", "--out", tmp_path / "out")
    found = json.loads(done.stdout)
    assert (done.code, found["exit"], len(found["bad"])) == (2, 2, len(BAD))
    assert "cannot be used" in found["unusable"]
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["bad_images.csv"]
    packed = run("pack", trouble, tmp_path / "a.pack")
    assert (packed.code, packed.stdout) == (2, "") and "cannot be used" in packed.stderr


def test_out_holds_the_split_that_training_would_use(run: Command, tmp_path: Path) -> None:
    done = run("check", "digits", "--val", "0.3", "--seed", "5", "--out", tmp_path, "--json")
    again = apply_split(open_data("digits"), tmp_path / "split.csv")
    assert len(again.places("val")) == json.loads(done.stdout)["splits"]["val"] > 500


def test_the_split_of_a_training_is_never_replaced(run: Command, tmp_path: Path) -> None:
    for name in ("config.yaml", "split.csv"):
        (tmp_path / name).write_text("a run's")
    done = run("check", "digits", "--out", tmp_path)
    assert done.code == 2 and "name another folder" in done.stderr
    assert (tmp_path / "split.csv").read_text() == "a run's"


def test_report_and_preview_are_written(run: Command, trouble: Path, tmp_path: Path) -> None:
    files = ("--report", "a.html", "--preview", "b.png", "--augment", "cifar", "--size", "24")
    done = run("check", trouble, "--max-bad", "0.5", *files)
    assert done.code == 1, done.stderr
    assert "Data check" in (tmp_path / "a.html").read_text()
    with Image.open(tmp_path / "b.png") as grid:
        assert min(grid.size) > 100


def test_pack_takes_what_the_check_finds_usable(run: Command, trouble: Path, tmp_path: Path) -> None:
    file = tmp_path / "trouble.pack"
    done = run("pack", trouble, file, "--max-bad", "0.5", "--side", "20")
    assert done.code == 0, done.stderr
    assert "left out: 5 unreadable" in done.stdout and "9 val" in done.stdout
    names = open_pack(file).names
    assert f"train/dog/{EVIL}" in names and not any(name.endswith(BAD) for name in names)
    assert run("check", file).code == 1  # the copies
    twice = run("pack", trouble, file)
    assert twice.code == 2 and "exists" in twice.stderr and twice.stderr.count("\n") == 1


def test_pack_says_what_it_wrote_as_json_and_keeps_gray_gray(run: Command, tmp_path: Path) -> None:
    done = run("pack", "digits", tmp_path / "digits.pack", "--json")
    said = json.loads(done.stdout)
    assert said["images"] == sum(said["splits"].values()) == 1797 and said["bad"] == []
    assert said["bytes"] == (tmp_path / "digits.pack").stat().st_size
    pixels = open_pack(tmp_path / "digits.pack").pictures.uniform
    assert pixels is not None and pixels.shape == (1797, 8, 8, 1)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("check", "nowhere"), "'nowhere' does not exist"),
        (("check", "nowhere", "--val", "2"), "val=2 is"),
        (("check", "nowhere", "--size", "0", "--preview", "a.png"), "size=0"),
        (("check", "nowhere", "--size", "5000", "--preview", "a.png"), "from 1 to 1024"),
        (("check", "nowhere", "--report", "."), ". is a folder"),
        (("check", "nowhere", "--out", __file__), "is a file"),
        (("check", "nowhere", "--max-bad", "1.5"), "max_bad=1.5"),
        (("check", "digits", "--report", "nowhere/a.html"), "there is no folder 'nowhere'"),
        (("check", "digits", "--augment", "cifar"), "--preview"),
        (("check", "digits", "--root", "x"), "root='x'"),
        (("pack", "digits", "nowhere/a.pack"), "there is no folder 'nowhere'"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(
    run: Command, words: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    done = run(*words)
    assert (done.code, done.stdout) == (2, "")
    assert sentence in done.stderr and done.stderr.startswith("residua: ") and done.stderr.count("\n") == 1


def test_a_file_that_cannot_be_written_does_not_undo_the_check(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise UserError("a.html cannot be written: No space left on device.")

    monkeypatch.setattr(report, "write_report", full)
    done = run("check", "digits", "--report", "a.html")
    assert done.code == 2 and "Clean: nothing to look at" in done.stdout
    assert done.stderr == "residua: a.html cannot be written: No space left on device.\n"


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", "from residua.cli import main; main()", *words]


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_nobodys_mistake(closed: str) -> None:
    script = f'"$@" {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *command("check", "digits")], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_decoding_needs_no_standard_error(trouble: Path) -> None:
    words = command("check", str(trouble), "--max-bad", "0.5", "--json")
    done = subprocess.run(["/bin/sh", "-c", '"$@" 2>&-', "sh", *words], stdout=subprocess.PIPE, check=False)
    assert done.returncode == 1 and len(json.loads(done.stdout)["bad"]) == len(BAD)


def test_a_narrow_terminal_cuts_the_bars_and_no_class(
    run: Command, trouble: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "WIDE", 30)
    rows = run("check", trouble, "--max-bad", "0.5").stdout.splitlines()
    assert any(row.startswith(" cat ") for row in rows) and any(row.startswith(" dog ") for row in rows)


def test_a_request_to_end_is_heeded_and_leaves_no_file(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nimport residua.files, residua.cli as cli\n"
        "def build(*_):\n"
        "    with residua.files.replacing(Path('out')): os.kill(os.getpid(), signal.SIGTERM)\n"
        "cli.app = build\ncli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (143, b"", b"")
    assert list(tmp_path.iterdir()) == []


def test_checking_needs_no_torch(trouble: Path, tmp_path: Path) -> None:
    code = "import sys, residua.cli as c; sys.argv = ['residua', *sys.argv[1:]]\n"
    code += "try: c.main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    for words in (
        ("check", trouble, "--report", tmp_path / "a.html"),
        ("pack", "digits", tmp_path / "a.pack"),
    ):
        command = [sys.executable, "-c", code, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_every_key_of_the_json_is_documented(run: Command) -> None:
    text = (Path(__file__).parents[2] / "docs" / "check.md").read_text()
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    documented = [key for row in rows for key in re.findall(r"`(\w+)`", row)]
    assert documented == list(json.loads(run("check", "digits", "--json").stdout))


def test_what_is_read_is_not_written_over(run: Command, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("L", (8, 8)).save("photos/1.png")
    table = "path,label\n1.png,a\n"
    Path("photos/split.csv").write_text(table)
    for words in (
        ("check", "photos/split.csv", "--out", "photos"),
        ("check", "photos/1.png", "--preview", "photos/1.png"),
        ("convert", "photos/1.png", "--to", "torchvision", "-o", "photos/1.png"),
    ):
        done = run(*words)
        assert done.code == 2 and "is read, so it cannot be written" in done.stderr, done.stderr
    assert Path("photos/split.csv").read_text() == table and not Path("photos/bad_images.csv").exists()
