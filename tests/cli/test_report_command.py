"""`residua report` as a user runs it."""

import json
from pathlib import Path

import pytest

from cli.commands import Command
from judging.runs import write_run


def test_the_page_lies_in_the_run_or_where_it_is_wanted(run: Command, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    done = run("report", folder)
    assert (done.code, done.stdout) == (0, f"written to {folder / 'report.html'}\n")
    assert "The pictures cannot be had: 'gone' does not exist" in done.stderr  # and the rest is there
    other = tmp_path / "other.html"
    assert run("report", folder, "-o", other).code == 0
    assert other.read_bytes() == (folder / "report.html").read_bytes()


def test_json_says_what_is_in_it_and_what_is_not(run: Command, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "summary.json").unlink()
    done = run("report", folder, "--json")
    found = json.loads(done.stdout)
    assert (done.code, done.stderr) == (0, "")
    assert found["report"] == str(folder / "report.html") and found["finished"] is False
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert all(found[name] == evaluation[name] for name in ("samples", "top1", "top5", "ece"))
    assert len(found["missing"]) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "nowhere is no run"),
        (("run", "-o", "page.txt"), "page.txt is not valid: the name must end in .html"),
        (("run", "-o", "nowhere/page.html"), "nowhere/page.html cannot be written"),
    ],
)
def test_mistakes_are_one_sentence(
    words: tuple[str, ...], said: str, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    done = run("report", *words)
    assert (done.code, done.stdout) == (2, "") and said in done.stderr and done.stderr.count("\n") == 1
