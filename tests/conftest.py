"""What all tests share."""

import pytest
import torch
from hypothesis import settings

settings.register_profile("same every time", deadline=None, derandomize=True)
settings.load_profile("same every time")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
