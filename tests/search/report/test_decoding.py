"""Decoding shows how far it is: a bar on a terminal, a few lines elsewhere."""

import time
from io import StringIO

import pytest
from rich.console import Console

from search.report.live import Screen
from search.worker.events import Decoding


def shown(console: Console, steps: range, total: int) -> str:
    with Screen(console) as screen:
        for done in steps:
            screen.tell(Decoding(done, total))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("steps", "total", "expected"),
    [
        (range(0), 0, []),
        (range(500, 501), 500, []),
        (
            range(100, 1001, 100),
            1000,
            ["decoded 300 of 1,000", "decoded 500 of 1,000", "decoded 800 of 1,000"],
        ),
    ],
)
def test_where_no_bar_can_be_drawn_there_are_a_few_lines(
    steps: range, total: int, expected: list[str]
) -> None:
    last = [f"decoded {total:,} images, once for this machine"] * bool(total)
    lines = shown(Console(file=StringIO()), steps, total).splitlines()
    assert lines == [f"{line} images" for line in expected] + last


def test_a_terminal_shows_a_bar_that_is_gone_when_all_is_decoded() -> None:
    console = Console(file=StringIO(), force_terminal=True, width=80)
    output = shown(console, range(100, 301, 100), 300)
    assert "decoding images" in output
    assert "100/300" in output
    assert output.endswith("\x1b[2Kdecoded 300 images, once for this machine\n")


def stopped_by_ctrl_c(console: Console) -> None:
    with Screen(console) as screen:
        screen.tell(Decoding(1, 2))
        raise KeyboardInterrupt


def test_ctrl_c_leaves_no_bar_behind() -> None:
    console = Console(file=StringIO(), force_terminal=True, width=80)
    with pytest.raises(KeyboardInterrupt):
        stopped_by_ctrl_c(console)
    before = len(console.file.getvalue())
    # A bar is drawn ten times a second.
    time.sleep(0.3)
    assert len(console.file.getvalue()) == before


def test_who_is_quiet_shows_nothing() -> None:
    assert shown(Console(file=StringIO(), quiet=True), range(100, 301, 100), 300) == ""
