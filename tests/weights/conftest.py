"""Settings of the other libraries, which read them while they are imported, and of PyTorch."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

os.environ["KERAS_BACKEND"] = "torch"
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Run on one thread: here more are no faster, and on a busy machine they wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
