"""Signals as exceptions: the first ends what runs in order, the second at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """SIGINT or SIGTERM came."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number
        self.how_to_go_on = ""

    def __str__(self) -> str:
        what = "interrupted" if self.exit_code == 128 + signal.SIGINT else "terminated"
        return f"{what}; {self.how_to_go_on}" if self.how_to_go_on else what


@contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """The first SIGINT or SIGTERM raises, so that a trial is handed back; the second leaves at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can have handlers; a notebook's worker thread is stopped by its owner
        return

    def first(number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda again, _: os._exit(128 + again))
        raise Stopped(number)

    before = {number: signal.signal(number, first) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
