"""Signals as the command line takes them, whose process is its own: the first ends what runs in
order.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# A terminal that closes sends SIGHUP, which Windows does not have.
_HANGUP = getattr(signal, "SIGHUP", None)
_SAID = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"} | (
    {_HANGUP: "hung up"} if _HANGUP else {}
)


class Stopped(BaseException):
    """A signal has asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number
        self.how_to_go_on = ""
        self._said = _SAID[signal.Signals(number)]

    def __str__(self) -> str:
        return f"{self._said}; {self.how_to_go_on}" if self.how_to_go_on else self._said


@contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """The first SIGINT, SIGTERM or SIGHUP raises Stopped, so that a trial is handed back; the next
    one leaves at once.

    One that is ignored stays so: whoever started this process wants it, as nohup does, or a script
    that goes on without it. One whose handler is not Python's, which could not be put back, is left
    to that.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread can have handlers.
        yield
        return
    before = {number: signal.getsignal(number) for number in _SAID}
    taken = {
        number: handler
        for number, handler in before.items()
        if handler not in (signal.SIG_IGN, None)
    }
    for number in taken:
        signal.signal(number, stop_in_order)
    try:
        yield
    # On a terminal that is gone nothing can be drawn, whatever there was still to draw.
    except OSError as error:
        if (stopped := _stopped_before(error)) is None:
            raise
        raise stopped from None
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


def stop_in_order(number: int, frame: FrameType | None) -> None:
    """A handler: raises Stopped, and has the next signal leave at once.

    The next SIGHUP alone means nothing new: a terminal that is closed sends it, and so does its
    shell.
    """
    for each in _SAID:
        if signal.getsignal(each) is stop_in_order:
            signal.signal(each, signal.SIG_IGN if each == _HANGUP else _leave_at_once)
    raise Stopped(number)


def _leave_at_once(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


def _stopped_before(error: BaseException) -> Stopped | None:
    """What was under way when the error came, if that was the end of this process."""
    under_way = error.__context__
    while under_way is not None and not isinstance(under_way, Stopped):
        under_way = under_way.__context__
    return under_way
