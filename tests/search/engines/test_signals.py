"""Signals as the command line takes them."""

import signal
import subprocess
import sys

import pytest

from search.engines.signals import Stopped, signals_as_exceptions

TWICE = """
import signal
from search.engines.signals import Stopped, signals_as_exceptions
with signals_as_exceptions():
    try:
        signal.raise_signal(signal.{first})
    except Stopped as stopped:
        print(stopped, flush=True)
        signal.raise_signal(signal.SIGHUP)
        print("still here", flush=True)
        signal.raise_signal(signal.{second})
        print("never said")
"""


@pytest.mark.parametrize(
    ("first", "second", "said", "code"),
    [("SIGINT", "SIGTERM", "interrupted", 143), ("SIGTERM", "SIGINT", "terminated", 130)],
)
def test_the_second_signal_leaves_at_once_unless_a_terminal_is_closed(
    first: str, second: str, said: str, code: int
) -> None:
    program = TWICE.format(first=first, second=second)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, f"{said}\nstill here\n", "")


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in signal.valid_signals()]
    with pytest.raises(Stopped, match="terminated"), signals_as_exceptions():
        signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(number) for number in signal.valid_signals()] == before


def test_handlers_that_are_not_pythons_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a program that Python is a part of."""
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(signal, "getsignal", lambda number: None)
        with signals_as_exceptions():
            pass
    assert signal.getsignal(signal.SIGINT) is before


def test_what_a_closed_terminal_refuses_while_the_process_ends_does_not_hide_why_it_ends() -> None:
    def stop() -> None:
        try:
            signal.raise_signal(signal.SIGHUP)
        finally:
            raise OSError(5, "Input/output error")

    with pytest.raises(Stopped) as raised, signals_as_exceptions():
        stop()
    assert (str(raised.value), raised.value.exit_code) == ("hung up", 129)
    with pytest.raises(OSError, match="full"), signals_as_exceptions():
        raise OSError(28, "full")
