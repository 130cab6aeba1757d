"""A live view is drawn where a terminal can show it, and nowhere else."""

import builtins
import fcntl
import os
import pty
import struct
import termios
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import TextIO

import pytest

from search.report.console import can_be_drawn_on, console_on, tell
from search.report.live import LiveView, Page, PlainView, Screen, choose_view, show_pages
from search.report.tally import new_tally
from search.worker.events import Decoding, StudyOpened
from storage.direction import Direction

XTERM = {"TERM": "xterm"}


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    """The side of a pseudo-terminal that a program writes to."""
    other, side = pty.openpty()
    with os.fdopen(side, "w") as stream:
        yield stream
    os.close(other)


@pytest.mark.parametrize(
    ("environment", "drawn"),
    [
        (XTERM, True),
        (XTERM | {"NO_COLOR": "1"}, True),
        (XTERM | {"CI": "", "COLUMNS": "", "LINES": ""}, True),
        (XTERM | {"CI": "false", "COLUMNS": "20", "LINES": "5"}, True),
        ({}, False),
        ({"TERM": ""}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "DUMB"}, False),
        ({"TERM": "unknown"}, False),
        (
            {"TERM": "dumb", "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1"},
            False,
        ),
        (XTERM | {"CI": "true"}, False),
        (XTERM | {"TTY_COMPATIBLE": "0"}, False),
        (XTERM | {"TTY_INTERACTIVE": "0"}, False),
        (XTERM | {"COLUMNS": "0"}, False),
        (XTERM | {"COLUMNS": "19"}, False),
        (XTERM | {"LINES": "1"}, False),
        (XTERM | {"COLUMNS": "²"}, False),
        (XTERM | {"COLUMNS": "9" * 5000}, False),
        (XTERM | {"COLUMNS": "-80"}, False),
    ],
)
def test_a_terminal_is_drawn_on_where_it_can_move_its_cursor_and_has_room(
    environment: dict[str, str], drawn: bool, terminal: TextIO
) -> None:
    assert can_be_drawn_on(terminal, environment) == drawn


@pytest.mark.parametrize(
    ("lines", "columns", "drawn"), [(0, 0, True), (24, 80, True), (24, 19, False), (4, 80, False)]
)
def test_the_window_must_have_room_too(
    lines: int, columns: int, drawn: bool, terminal: TextIO
) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    assert can_be_drawn_on(terminal, XTERM) == drawn


class SaysThatItIsATerminal(StringIO):
    """As the streams of IDLE and of some notebooks do."""

    def isatty(self) -> bool:
        return True


def test_what_is_no_terminal_is_not_drawn_on(tmp_path: Path) -> None:
    closed = StringIO()
    closed.close()
    with (tmp_path / "log").open("w") as log:
        for stream in (log, StringIO(), SaysThatItIsATerminal(), closed):
            assert not can_be_drawn_on(stream, XTERM)


@pytest.mark.parametrize("asked", ["FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"])
def test_no_variable_makes_a_log_a_terminal(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(asked, "1")
    monkeypatch.setenv("COLUMNS", "²")
    console = console_on(StringIO())
    tally = new_tally(StudyOpened(0, 2, None, Direction.UP))
    with choose_view(tally, console) as view:
        assert isinstance(view, PlainView)
    show_pages([Page("first", ("a",)), Page("second", ("b",))], console)
    with Screen(console) as screen:
        screen.tell(Decoding(1, 2))
        screen.tell(Decoding(2, 2))
    assert isinstance(console.file, StringIO)
    assert (
        console.file.getvalue()
        == "a\nb\ndecoded 1 of 2 images\ndecoded 2 images, once for this machine\n"
    )


def test_on_a_terminal_the_view_is_live(terminal: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with choose_view(
        new_tally(StudyOpened(0, 2, None, Direction.UP)), console_on(terminal)
    ) as view:
        assert isinstance(view, LiveView)


def test_a_notebook_is_told_lines_on_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    class ZMQInteractiveShell:
        """The name by which rich knows a notebook."""

    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    console = console_on(StringIO())
    tell(console, "trial 1 complete")
    assert isinstance(console.file, StringIO)
    assert (console.file.getvalue(), console.is_jupyter) == ("trial 1 complete\n", False)


def test_a_line_is_printed_as_it_is_and_as_one() -> None:
    console = console_on(StringIO())
    line = f"[bold]:warning: {'x' * 200} /a/b.toml 'c' 12 [/]"
    tell(console, line)
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue() == f"{line}\n"
