"""What tests of commands share."""

import sys
from pathlib import Path

import pytest

from cli.commands import Command, Done
from residua.cli import main


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Command:
    """The command in this process, which has everything loaded."""

    def call(*words: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["residua", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert isinstance(stopped.value.code, int)
        out, err = (each.decode("utf-8", "surrogateescape") for each in capsysbinary.readouterr())
        return Done(stopped.value.code, out, err)

    return call
