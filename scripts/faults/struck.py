"""The command, with something happening within it at a certain call: a signal, or numbers that are none.

    python struck.py WHERE WHEN WHAT train ...

WHERE is check, measuring, begin, step, save, judging or batch; WHAT is the signals' names, or nan.
It says at its end how long ago a signal was.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from residua.cli import main

PLACES = {
    "check": ("residua.data.checking.checked", "", "examine"),
    "measuring": ("residua.training.settling.stopwatch", "Stopwatch", "update"),
    "begin": ("residua.training.keeping.run", "Run", "begin"),
    "step": ("torch.autograd", "", "backward"),
    "save": ("residua.weights.tensorfile", "", "_bytes"),
    "judging": ("residua.judging.figures.scores", "Tally", "add"),
    "batch": ("residua.data.loading.loader", "Batch", "inputs"),
}


def strike(where: str, when: int, happens: Callable[[Any], Any]) -> None:
    """Let something happen to the result of a function's call of this number."""
    from importlib import import_module

    module, owner, name = PLACES[where]
    place = import_module(module)
    place = getattr(place, owner) if owner else place
    original, calls = getattr(place, name), 0

    def replaced(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        result = original(*arguments, **options)
        return happens(result) if calls == when else result

    setattr(place, name, replaced)


def happening(what: str) -> Callable[[Any], Any]:
    """Return what happens to a result."""
    if what == "nan":
        return lambda result: result * float("nan")

    def signalled(result: Any) -> Any:
        began = time.monotonic()
        atexit.register(lambda: print(f"hit {time.monotonic() - began:.3f} s ago", file=sys.stderr))
        for name in what.split("+"):
            os.kill(os.getpid(), signal.Signals[name])
        return result

    return signalled


if __name__ == "__main__":
    where, when, what, *rest = sys.argv[1:]
    strike(where, int(when), happening(what))
    sys.argv = ["residua", *rest]
    main()
