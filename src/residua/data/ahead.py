"""Work that threads do ahead, in order: decoding lets others run, so threads are enough."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST = 256  # threads: more do not help, and very many end the process, or the machine


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ahead(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, window: int
) -> Generator[Result]:
    """Yield the results in the items' order, at most `window` items ahead; without workers it works here.

    However many workers are asked for, they are at most 256.
    Whatever the work raises is raised here; the threads end with the iterator.
    """
    if not workers:
        yield from map(work, items)
        return
    pending: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(min(workers, MOST), thread_name_prefix="residua")
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) >= window:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
