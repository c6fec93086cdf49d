"""What the shell completes, asked as bash asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("residua trai", ["train"]),
        ("residua train --dry", ["--dry-run"]),
        ("residua train --model cifar_preresnet5", ["cifar_preresnet56"]),
        ("residua train --recipe f", ["fast", "finetune"]),
        ("residua describe plain3", ["plain34"]),
        ("residua lab run deg", ["degradation"]),
        ("residua lab run degradation --scale q", ["quick"]),
    ],
)
def test_the_shell_completes(words: str, completed: list[str]) -> None:
    asked = {"_RESIDUA_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    command = Path(sys.executable).with_name("residua")
    answer = subprocess.run([command], env=os.environ | asked, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == completed
