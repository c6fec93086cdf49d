"""Memory that is kept while a training runs, and goes back to the system afterwards."""

import json
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are not told")

# In a process of its own: what other tests have left in the heap must not matter.
PROGRAM = """
import json, resource
from pathlib import Path
import torch
from residua.training.updating.allocation import kept_memory

LARGE = 40 << 20  # bytes: so many usually come from the system, and go back to it
PAGES = LARGE // resource.getpagesize()

def allocate():
    torch.ones(LARGE, dtype=torch.uint8)

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

def asked_anew():
    for _ in range(30):  # small pieces settle between large ones before those are found again
        allocate()
    before = faults()
    for _ in range(5):
        allocate()
    return (faults() - before) / PAGES

usually = asked_anew()
try:
    with kept_memory():
        keeping, most = asked_anew(), resident()
        raise KeyError
except KeyError:
    print(json.dumps({"usually": usually, "keeping": keeping, "given_back": (most - resident()) / PAGES}))
"""


def test_freed_memory_is_used_again_and_given_back_at_the_end_also_after_an_error() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["usually"] > 4  # of five times
    assert seen["keeping"] < 2
    assert seen["given_back"] > 0.5
