"""What all tests share."""

import os
import signal
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# The other libraries read these while they are imported.
os.environ["KERAS_BACKEND"] = "torch"
os.environ["HF_HUB_OFFLINE"] = "1"

# A shell lets jobs in the background ignore Ctrl-C, and with them all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# One thread, here and in what is started: networks this small are no faster on more, and on a busy machine
# threads wait for each other.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

settings.register_profile("same every time", deadline=None, derandomize=True)
settings.load_profile("same every time")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESIDUA_CACHE", str(tmp_path / "cache"))
