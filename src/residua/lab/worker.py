"""A process that carries out trials: a line of JSON in for each, lines of JSON out, and nothing else.

When nobody listens any more, as the sweep that started it was killed, it saves its training and ends.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from residua.errors import UserError
from residua.files import BusyError
from residua.lab.carrying import carry_out
from residua.lab.trials import Trial
from residua.training.telling.stopping import StoppedError

PAUSE = 20  # updates between two words of progress


def main() -> None:
    """Carry out what comes, one after the other."""
    out = _pipe()
    tasks: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(tasks,), daemon=True).start()
    while True:
        try:
            _say(_answer(tasks.get(), out), out)
        except BrokenPipeError:
            return


def _pipe() -> TextIO:
    """Return where words go; what libraries and compilers print goes to standard error from now on."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _answer(task: Mapping[str, Any], out: TextIO) -> dict[str, Any]:
    """Return how a trial ended."""

    def heard(step: int, steps: int) -> None:
        if step % PAUSE == 0:
            with suppress(BrokenPipeError):  # nobody listens: soon the training is asked to save itself
                _say({"step": step, "steps": steps}, out)

    try:
        carry_out(
            Trial.read(task["trial"]),
            Path(task["run"]),
            task["data"],
            task["measurements"],
            device=task["device"],
            heard=heard,
        )
    except StoppedError:
        sys.exit(0)
    except BusyError as error:
        return {"ended": "busy", "reason": str(error)}
    except UserError as error:
        return {"ended": "failed", "reason": str(error)}
    return {"ended": "well"}


def _listen(tasks: queue.Queue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        tasks.put(json.loads(line))
    os.kill(os.getpid(), signal.SIGTERM)  # which a training takes for a wish to be saved


def _say(words: Mapping[str, Any], out: TextIO) -> None:
    out.write(json.dumps(words) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
