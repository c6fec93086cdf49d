"""Interruption: Ctrl-C, SIGTERM and a closed terminal let the step end, so that the training can be saved."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

ENDS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
NOTICE = b"\nresidua: stopping after this step, and saving. Ctrl-C again ends at once, without saving.\n"


class Interruption:
    """Whether the user, or the system, has asked for an end."""

    def __init__(self) -> None:
        self.signal: int | None = None

    @property
    def asked(self) -> bool:
        """Whether to stop."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """Return what to exit with: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP, 0 otherwise."""
        return 128 + self.signal if self.signal else 0

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Remember the first signal; a later Ctrl-C raises KeyboardInterrupt."""
        del frame
        if self.signal is None:
            self.signal = number
            with contextlib.suppress(OSError):
                os.write(2, NOTICE)  # print may be what was interrupted
        elif number == signal.SIGINT:
            raise KeyboardInterrupt


@contextlib.contextmanager
def interruptible() -> Iterator[Interruption]:
    """Catch Ctrl-C, SIGTERM and SIGHUP meanwhile; in another thread than the main one, nothing is caught."""
    asked = Interruption()
    old = {}
    if threading.current_thread() is threading.main_thread():
        for number in ENDS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # a job in the background, under nohup
                old[number] = signal.signal(number, asked.handle)
    try:
        yield asked
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
