"""Threads that work ahead."""

import threading

from residua.data.ahead import MOST, ahead


def test_very_many_workers_are_some_threads() -> None:
    before = threading.active_count()
    threads = list(ahead(lambda _: threading.active_count(), range(2000), 10**6, 2000))
    assert len(threads) == 2000
    assert max(threads) <= before + MOST
