"""`residua report` as a user runs it."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from judging.runs import write_run
from residua.cli import main


@dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str


class Command(Protocol):
    def __call__(self, *words: str | Path) -> Done: ...


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["residua", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert isinstance(stopped.value.code, int)
        return Done(stopped.value.code, *capsys.readouterr())

    return run


def test_the_page_lies_in_the_run_or_where_it_is_wanted(call: Command, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    done = call("report", run)
    assert (done.code, done.stdout) == (0, f"written to {run / 'report.html'}\n")
    assert "The pictures cannot be had: 'gone' does not exist" in done.stderr  # and the rest is there
    other = tmp_path / "other.html"
    assert call("report", run, "-o", other).code == 0
    assert other.read_bytes() == (run / "report.html").read_bytes()


def test_json_says_what_is_in_it_and_what_is_not(call: Command, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "summary.json").unlink()
    done = call("report", run, "--json")
    found = json.loads(done.stdout)
    assert (done.code, done.stderr) == (0, "")
    assert found["report"] == str(run / "report.html") and found["finished"] is False
    evaluation = json.loads((run / "evaluation.json").read_text())
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
    words: tuple[str, ...], said: str, call: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    done = call("report", *words)
    assert (done.code, done.stdout) == (2, "") and said in done.stderr and done.stderr.count("\n") == 1
