"""What tests need of the machine: without it they are skipped, and where changes are accepted they fail."""

import os

import pytest

from faults.syscalls import can_trace

needs_strace = pytest.mark.skipif(
    not can_trace() and not os.environ.get("CI"), reason="strace is not installed, or may not trace here"
)
