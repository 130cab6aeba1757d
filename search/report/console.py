"""Consoles: where progress is shown, and whether it is drawn there over and over or told in plain
lines.
"""

import os
import sys
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console

# Terminals with these values of TERM move no cursor.
NO_CURSOR = ("", "dumb", "unknown")
# A view fits into no less.
FEWEST = {"COLUMNS": 20, "LINES": 5}
# A console that draws nothing is so wide; no line is broken there.
_PLAIN_WIDTH = 80


def console_on(stream: TextIO) -> Console:
    """A console whose `is_terminal` says whether to draw, whatever rich takes from the environment
    and from Jupyter.
    """
    if can_be_drawn_on(stream, os.environ):
        return Console(
            file=stream, force_terminal=True, force_interactive=True, force_jupyter=False
        )
    return Console(
        file=stream,
        force_terminal=False,
        force_interactive=False,
        force_jupyter=False,
        width=_PLAIN_WIDTH,
        height=1,
    )


def can_be_drawn_on(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether the stream is a terminal that can move its cursor, and somebody looks who has not
    asked for plain lines.

    A notebook's streams and those of IDLE are no terminals, whatever they say. In CI nobody looks.
    TTY_COMPATIBLE=0 and TTY_INTERACTIVE=0 ask for plain lines; nothing asks for more than the
    terminal can do.
    """
    if environment.get("CI", "").lower() not in ("", "0", "false"):
        return False
    if "0" in (environment.get("TTY_COMPATIBLE"), environment.get("TTY_INTERACTIVE")):
        return False
    # Windows has no TERM, and a terminal there can move its cursor.
    if environment.get("TERM", "windows" if sys.platform == "win32" else "").lower() in NO_CURSOR:
        return False
    if not all(_is_enough(environment.get(name, ""), fewest) for name, fewest in FEWEST.items()):
        return False
    try:
        return stream.isatty() and os.isatty(stream.fileno()) and _is_large_enough(stream.fileno())
    # The stream has no descriptor, or is closed.
    except (OSError, ValueError):
        return False


def tell(console: Console, line: str) -> None:
    """Prints the line as it is, and as one."""
    console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)


def _is_enough(text: str, fewest: int) -> bool:
    # What is no number is no size, and one of many digits is none either.
    return not text or (text.isdecimal() and len(text) <= 5 and int(text) >= fewest)


def _is_large_enough(terminal: int) -> bool:
    # One that does not know its size says 0.
    size = os.get_terminal_size(terminal)
    return not 0 < size.columns < FEWEST["COLUMNS"] and not 0 < size.lines < FEWEST["LINES"]
