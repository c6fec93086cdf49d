"""Pictures decoded in processes of their own, so that a decoder that crashes takes nothing else down."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock, Thread
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from residua.data.dataset import Pictures, Places
from residua.data.facts import TRAITS, BadImageError

# One picture's facts in 26 bytes: there may be millions. All zeros where it is bad.
RECORD = np.dtype([("width", "<i4"), ("height", "<i4"), ("digest", "<u8", (2,)), ("traits", "<u2")])
BITS = {trait: 1 << place for place, trait in enumerate(TRAITS)}

FIRST_CHUNK, LARGEST_CHUNK = 8, 1024
BEAT = 0.2  # seconds that a chunk should take: longer than its overhead, short enough to show progress

# A child does not look in the current folder for modules unless its parent does.
CHILD = "import sys; sys.path[:] = sys.argv[1:]; from residua.data.checking.examining import serve; serve()"


@dataclass(frozen=True)
class Chunk:
    """Some pictures of a row of many: where in the row they start, and their places in `Pictures`."""

    start: int
    places: Places


@dataclass(frozen=True)
class Answer:
    """What a chunk's pictures are, and why the bad ones cannot be read (by their number in the row)."""

    start: int
    records: NDArray[np.void]
    reasons: dict[int, str]


def examine(pictures: Pictures, chunk: Chunk) -> Answer:
    """Decode pictures in this process."""
    records = np.zeros(len(chunk.places), RECORD)
    reasons: dict[int, str] = {}
    for row, place in enumerate(chunk.places.tolist()):
        try:
            facts = pictures.examine(place)
        except BadImageError as error:
            reasons[chunk.start + row] = error.reason
        except Exception as error:  # no picture may stop the check, whatever is wrong with it or with us
            reasons[chunk.start + row] = f"decoding fails ({type(error).__name__}: {error})"
        else:
            bits = sum(BITS[trait] for trait in facts.traits)
            records[row] = (facts.width, facts.height, np.frombuffer(facts.digest, "<u8"), bits)
    return Answer(chunk.start, records, reasons)


def examine_apart(pictures: Pictures, places: Places, workers: int) -> Iterator[Answer]:
    """Decode pictures in several processes; answers come chunk by chunk, in any order."""
    answers: SimpleQueue[Answer | BaseException] = SimpleQueue()
    chunks = _Chunks(places)
    crew = [_Examiner(pictures) for _ in range(workers)]
    threads = [Thread(target=_drive, args=(examiner, chunks, answers)) for examiner in crew]
    try:
        for thread in threads:
            thread.start()
        missing = len(places)
        while missing:
            answer = answers.get()
            if isinstance(answer, BaseException):
                raise answer
            missing -= len(answer.records)
            yield answer
    finally:
        for examiner in crew:
            examiner.stop()
        for thread in threads:
            if thread.ident:
                thread.join()


class _Chunks:
    """What is still to do, handed out to threads."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._next = 0
        self._lock = Lock()

    def take(self, count: int) -> Chunk:
        with self._lock:
            start = self._next
            self._next += count
        return Chunk(start, self._places[start : start + count])


def _drive(examiner: _Examiner, chunks: _Chunks, answers: SimpleQueue[Answer | BaseException]) -> None:
    size = FIRST_CHUNK
    try:
        while len((chunk := chunks.take(size)).places):
            start = time.monotonic()
            for answer in examiner.answers(chunk):
                answers.put(answer)
            took = max(time.monotonic() - start, 1e-3)
            size = min(max(round(size * BEAT / took), 1), 4 * size, LARGEST_CHUNK)
    except _StoppedError:
        pass
    except BaseException as error:  # whoever waits for the answers raises it
        answers.put(error)
    finally:
        examiner.close()


class _StoppedError(Exception):
    """Nobody wants the answer any more."""


class _CrashedError(Exception):
    """The process has ended."""


class _Examiner:
    """One process that decodes; begun again when a picture has ended it."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._lock = Lock()

    def answers(self, chunk: Chunk) -> Iterator[Answer]:
        """Examine pictures; if they end the process, one by one, to know which one does."""
        try:
            yield self._ask(chunk)
        except _CrashedError as crash:
            if len(chunk.places) > 1:
                for row in range(len(chunk.places)):
                    yield from self.answers(Chunk(chunk.start + row, chunk.places[row : row + 1]))
            else:
                yield Answer(chunk.start, np.zeros(1, RECORD), {chunk.start: str(crash)})

    def stop(self) -> None:
        """End the process at once; called from another thread."""
        with self._lock:
            self._stopped = True
            if self._process:
                self._process.kill()

    def close(self) -> None:
        """Let the process end, which it does when it is asked nothing more."""
        if self._process:
            for pipe in _pipes(self._process):
                with contextlib.suppress(OSError):
                    pipe.close()
            self._process.wait()
            self._process = None

    def _ask(self, chunk: Chunk) -> Answer:
        process = self._process or self._start()
        questions, answers = _pipes(process)
        try:
            _send(questions, chunk)
            answer: Answer = pickle.load(answers)  # noqa: S301 - from our own process
        except (OSError, EOFError, pickle.UnpicklingError):
            self.close()
            if self._stopped:
                raise _StoppedError from None
            raise _CrashedError(_last_words(process.returncode)) from None
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise _StoppedError
            command = [sys.executable, "-P", "-c", CHILD, *sys.path]
            pipe = subprocess.PIPE
            # A group of its own: Ctrl-C is the parent's, which ends its children.
            process = self._process = subprocess.Popen(  # noqa: S603 - our own
                command, stdin=pipe, stdout=pipe, process_group=0
            )
        questions, answers = _pipes(process)
        try:
            _send(questions, self._pictures)
            pickle.load(answers)  # noqa: S301 - from our own process
        except (OSError, EOFError):
            if self._stopped:
                raise _StoppedError from None
            raise RuntimeError("a process that decodes pictures does not start") from None
        return process


def serve() -> None:
    """Answer the parent's questions until it asks no more."""
    silence = os.open(os.devnull, os.O_WRONLY)  # first: it takes the place of a closed standard error
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(silence, 1)  # what a library prints must not get between the answers
    with contextlib.suppress(EOFError, BrokenPipeError, pickle.UnpicklingError):  # the parent has gone
        pictures: Pictures = pickle.load(questions)  # noqa: S301 - from our own parent
        _send(answers, "ready")
        os.dup2(silence, 2)  # C libraries grumble about files that are reported anyway
        while True:
            _send(answers, examine(pictures, pickle.load(questions)))  # noqa: S301 - from our own parent


def _send(pipe: IO[bytes], value: Any) -> None:
    pickle.dump(value, pipe, pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a process has no pipes")  # it was given both
    return process.stdin, process.stdout


def _last_words(code: int) -> str:
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"decoding it ends the process ({how})"
