"""The first signal asks for an end, the second Ctrl-C is one."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from residua.training.keeping.interruption import interruptible


@pytest.fixture(autouse=True)
def nothing_is_ignored() -> Iterator[None]:
    """Hear SIGHUP, also where the tests run under nohup."""
    old = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, old)


SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_the_first_signal_asks(number: int, code: int, capfd: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(each) for each, _ in SIGNALS]
    with interruptible() as interruption:
        assert (interruption.asked, interruption.exit_code) == (False, 0)
        os.kill(os.getpid(), number)
        assert (interruption.asked, interruption.exit_code) == (True, code)
    assert [signal.getsignal(each) for each, _ in SIGNALS] == before
    out, err = capfd.readouterr()
    assert not out and "stopping after this step, and saving" in err and err.count("\n") == 2


@pytest.mark.parametrize(("first", "code"), SIGNALS)
def test_ctrl_c_after_it_ends_at_once(first: int, code: int) -> None:
    with pytest.raises(KeyboardInterrupt), interruptible() as interruption:
        os.kill(os.getpid(), first)
        os.kill(os.getpid(), signal.SIGINT)
    assert interruption.exit_code == code
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_sigterm_changes_nothing() -> None:
    with interruptible() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    assert interruption.exit_code == 130


def test_the_handlers_come_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), interruptible():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_ignored_stays_ignored() -> None:
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible() as interruption:
            os.kill(os.getpid(), signal.SIGINT)
        assert not interruption.asked and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, old)


def test_another_thread_catches_nothing() -> None:
    asked = []

    def work() -> None:
        with interruptible() as interruption:
            asked.append(interruption.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert asked == [False]


TRAINING = """
import sys
from residua.training.keeping.interruption import interruptible
with interruptible() as interruption:
    print("ready", flush=True)
    while not interruption.asked:
        sum(range(1000))
    print("saved", flush=True)
sys.exit(interruption.exit_code)
"""


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_process_saves_and_exits(number: int, code: int) -> None:
    command = [sys.executable, "-c", TRAINING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("saved\n", code)
