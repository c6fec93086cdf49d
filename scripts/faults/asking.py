"""The command, which says at its end when it first asked for a lock, and whether torch was imported then."""

from __future__ import annotations

import atexit
import sys
import time

from residua import files
from residua.cli import main

lock = files._lock


def first(handle: int) -> None:
    """Ask for a lock, and let it be said at the end."""
    files._lock = lock
    began, torch = time.monotonic(), "with" if "torch" in sys.modules else "without"

    def say() -> None:
        print(f"asked {time.monotonic() - began:.3f} s ago, {torch} torch", file=sys.stderr)

    atexit.register(say)
    lock(handle)


if __name__ == "__main__":
    files._lock = first
    sys.argv[0] = "residua"
    main()
