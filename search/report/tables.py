"""Tables and paragraphs for a person, in a given width."""

import os
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

# Two columns have so many blanks between them.
GAP = 2
# Lines are so wide where nobody has said how wide they may be.
NO_TERMINAL_COLUMNS = 100
FEWEST_COLUMNS = 20
# A cell that is cut keeps at least so many characters.
_SHORTEST_CUT = 9

_NO_BREAK = "\u00a0"
_WIDTH = re.compile(r"[0-9]{1,5}")
_NUMBER = re.compile(r"-?[0-9][0-9,]*(\.[0-9]+)?(e[+-]?[0-9]+)?(/[0-9]+)?|-?(inf|nan)")
# A name is made of such parts.
_PART = re.compile(r"[^_.]+[_.]*")


def width_of(stream: TextIO, environment: Mapping[str, str]) -> int:
    """Characters that fit into a line: what COLUMNS says, else what the terminal says, else 100."""
    said = environment.get("COLUMNS", "")
    if _WIDTH.fullmatch(said) is not None and int(said) >= FEWEST_COLUMNS:
        return int(said)
    try:
        columns = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    # The stream has no descriptor, or is closed.
    except (OSError, ValueError):
        columns = 0
    # A terminal that does not know its size says 0.
    return columns if columns >= FEWEST_COLUMNS else NO_TERMINAL_COLUMNS


def wrapped(text: str, width: int, indent: str = "") -> str:
    """A paragraph in lines of at most `width`, all but the first indented; a longer word, or what
    is `unbroken`, stays whole, so that it can be copied.
    """
    lines = textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(lines).replace(_NO_BREAK, " ")


def unbroken(command: str) -> str:
    """A command that `wrapped` keeps on one line."""
    return command.replace(" ", _NO_BREAK)


def stacked(name: str) -> str:
    """A long name as the head of a narrow column, its parts one below the other.

    >>> stacked("learning_rate"), stacked("l1")
    ('learning_\\nrate', 'l1')
    """
    return "\n".join(_PART.findall(name)) or name


def column_width(head: str, cells: Iterable[str]) -> int:
    """Of the widest line in the column."""
    return max(map(len, (*head.split("\n"), *cells)))


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    width: int | None = None,
    spare: Sequence[str] = (),
) -> str:
    """Columns as wide as their widest cell, those of numbers right-aligned, the others left.

    Where that is more than `width`, the columns named in `spare` go, the first one first; then the
    longest cells are cut in their middle.
    """
    columns = [list(cells) for cells in zip(header, *rows, strict=True)]
    for name in (None, *spare):
        columns = [cells for cells in columns if cells[0] != name]
        if width is None or _total(columns) <= width:
            return _laid_out(columns)
    assert width is not None
    return _laid_out(_cut(columns, width))


def _total(columns: Sequence[Sequence[str]]) -> int:
    return sum(column_width(*_split(cells)) + GAP for cells in columns) - GAP


def _split(cells: Sequence[str]) -> tuple[str, Sequence[str]]:
    return cells[0], cells[1:]


def _cut(columns: list[list[str]], width: int) -> list[list[str]]:
    """Columns whose widest one of text has given way, as far as may be."""
    text = [place for place, cells in enumerate(columns) if not _holds_numbers(cells)]
    while text and (beyond := _total(columns) - width) > 0:
        widths = {place: column_width(*_split(columns[place])) for place in text}
        place = max(text, key=lambda place: widths[place])
        if widths[place] <= _SHORTEST_CUT:
            break
        others = [each for other, each in widths.items() if other != place]
        goal = max(widths[place] - beyond, min(max(others, default=0), widths[place] - 1))
        columns[place] = [_shortened(cell, max(goal, _SHORTEST_CUT)) for cell in columns[place]]
    return columns


def _shortened(cell: str, length: int) -> str:
    if len(cell) <= length:
        return cell
    # Names that begin alike end differently, as combinations do.
    tail = (length - 1) // 2
    return f"{cell[: length - 1 - tail]}…{cell[len(cell) - tail :]}"


def _holds_numbers(cells: Sequence[str]) -> bool:
    found = [cell for cell in cells[1:] if cell not in ("-", "")]
    return bool(found) and all(_NUMBER.fullmatch(cell) for cell in found)


def _laid_out(columns: Sequence[Sequence[str]]) -> str:
    height = max(cells[0].count("\n") for cells in columns)
    laid = []
    for cells in columns:
        head = cells[0].split("\n")
        lines = [*[""] * (height + 1 - len(head)), *head, *cells[1:]]
        across = max(map(len, lines))
        is_right = _holds_numbers(cells)
        laid.append([line.rjust(across) if is_right else line.ljust(across) for line in lines])
    return "\n".join((" " * GAP).join(row).rstrip() for row in zip(*laid, strict=True))
