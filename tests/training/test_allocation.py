"""Memory that is kept while a training runs, and goes back to the system afterwards."""

import platform
from pathlib import Path

import pytest
import torch

from residua.training.allocation import kept_memory

resource = pytest.importorskip("resource")
pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are not told")

LARGE = 40 << 20  # bytes: so many usually come from the system, and go back to it


def allocate() -> None:
    torch.ones(LARGE, dtype=torch.uint8)


def faults() -> int:
    """Return how often memory came anew from the system."""
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * int(resource.getpagesize())


def test_freed_memory_is_used_again_instead_of_asked_for_anew() -> None:
    with kept_memory():
        allocate()
        before = faults()
        for _ in range(5):
            allocate()
        assert faults() - before < LARGE // resource.getpagesize()


def test_memory_goes_back_to_the_system_also_after_an_error() -> None:
    kept = 0
    with pytest.raises(KeyError), kept_memory():
        allocate()
        kept = resident()
        raise KeyError
    assert resident() < kept - LARGE // 2
