"""A TOML document read key by key; what is wrong is noted, each fault one line, and reading goes
on.
"""

import errno
import io
import json
import math
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO

from search.space.domains import Limits
from search.spec.durations import parse_duration
from storage.text import on_one_line

# A spec may hold what TOML does, without dates.
Toml = str | int | float | bool | list["Toml"] | dict[str, "Toml"]
Document = dict[str, Toml]

# A column of a database holds no larger number.
LARGEST_INTEGER = 2**31 - 1
# Thousands of first trials need less than a file may have.
LARGEST_BYTES = 4 * 2**20
STANDARD_INPUT = Path("-")
NO_TEXT = "is no text in UTF-8: save it as such"
# Tables and lists may lie so deep in one another; a spec has 4.
DEEPEST = 20
_BARE_KEY = re.compile(r"[A-Za-z0-9_.\-]+")


class SpecError(Exception):
    """A spec that cannot be used; each fault is one line: file, key, value, mend."""

    def __init__(self, source: str, faults: Sequence[str]) -> None:
        super().__init__("\n".join(f"{on_one_line(source)}: {fault}" for fault in faults))
        self.faults = tuple(faults)


def load_document(path: Path) -> Document:
    """Reads a TOML file in UTF-8, with or without a byte order mark; `-` is the standard input.

    Raises:
        SpecError: the file is not there, not readable or no TOML, or larger than any spec.
    """
    source = spec_source(path)
    try:
        with _opened(path) as file:
            content = file.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            raise SpecError(
                source,
                [f"is larger than {LARGEST_BYTES // 2**20} MiB, as no spec is: name another file"],
            )
        # Each second byte of UTF-16 may be a zero.
        if b"\0" in content:
            raise SpecError(source, [NO_TEXT])
        return parse_toml(io.StringIO(content.decode("utf-8-sig"), newline=None).read())
    except FileNotFoundError:
        raise SpecError(
            source, ["no such file: 'hypersearch spec init FILE' writes one to start from"]
        ) from None
    except OSError as error:
        raise SpecError(source, [f"cannot be read ({error.strerror}): name another file"]) from None
    except UnicodeDecodeError:
        raise SpecError(source, [NO_TEXT]) from None
    except ValueError as error:
        raise SpecError(source, [f"is no TOML: {error}".replace("\n", " ")]) from None


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    if path != STANDARD_INPUT:
        return path.open("rb")
    if sys.stdin is None:
        raise OSError(errno.EBADF, "it is closed")
    # Closed, its number would be that of the next file that is opened.
    return nullcontext(sys.stdin.buffer)


def spec_source(path: Path) -> str:
    """What messages call the file."""
    return "standard input" if path == STANDARD_INPUT else str(path)


def parse_toml(text: str) -> Document:
    """Raises ValueError for what is no TOML, and for what no message could show."""
    try:
        document: Document = tomllib.loads(text)
        deepest = _depth(document)
    except RecursionError:
        deepest = DEEPEST + 1
    if deepest > DEEPEST:
        raise ValueError(f"tables or lists are nested deeper than {DEEPEST}")
    return document


def _depth(value: Toml) -> int:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        # The limits are those of https://toml.io/en/v1.0.0#integer.
        raise ValueError("a whole number has more than 64 bits")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def unknown(name: str, known: Sequence[str]) -> str:
    nearest = get_close_matches(name, known, n=1)
    return (
        f"unknown key; did you mean {nearest[0]!r}?"
        if nearest
        else f"unknown key; known are {', '.join(known)}"
    )


def one_of(value: str, known: Sequence[str]) -> str:
    nearest = get_close_matches(value, known, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"use one of {', '.join(known)}"


class Table:
    """One table of a document, read key by key; what is wrong is noted, and reading goes on with a
    stand-in.
    """

    def __init__(self, content: Mapping[str, Toml], prefix: str, faults: list[str]) -> None:
        self.content = content
        self.faults = faults
        self._prefix = prefix
        self._seen: set[str] = set()

    def key(self, name: str) -> str:
        shown = name if _BARE_KEY.fullmatch(name) else json.dumps(name)
        return f"{self._prefix}{shown}"

    def fault(self, name: str, value: Toml, mend: str) -> None:
        shown = json.dumps(value, default=str, ensure_ascii=False)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        self.faults.append(f"{self.key(name)} = {shown}: {mend}")

    def refuse_the_rest(self) -> None:
        """Every key that nobody asked for is unknown."""
        for name in self.content.keys() - self._seen:
            self.fault(name, self.content[name], unknown(name, sorted(self._seen)))

    def _take(self, name: str) -> Toml | None:
        self._seen.add(name)
        return self.content.get(name)

    def table(self, name: str) -> "Table":
        value = self._take(name)
        if value is not None and not isinstance(value, dict):
            self.fault(name, value, f"must be a table, [{name}]")
        return Table(value if isinstance(value, dict) else {}, f"{self.key(name)}.", self.faults)

    def tables(self, name: str) -> list["Table"]:
        value = self._take(name) or []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.fault(name, value, f"must be tables, each headed [[{name}]]")
            return []
        return [
            Table(item, f"{self.key(name)}[{index}].", self.faults)
            for index, item in enumerate(value)
            if isinstance(item, dict)
        ]

    def method(self, name: str, default: str, known: Sequence[str]) -> tuple[str, "Table"]:
        """A name alone, or a table of a name and options."""
        value = self._take(name)
        table = Table(value if isinstance(value, dict) else {}, f"{self.key(name)}.", self.faults)
        if value is None or isinstance(value, str):
            return (default if value is None else self._known(name, value, known, default)), table
        if isinstance(value, dict):
            return table.option("name", default, known), table
        self.fault(name, value, f"must be a name, or a table with a name: {', '.join(known)}")
        return default, table

    def _known(self, name: str, value: str, known: Sequence[str], default: str) -> str:
        if value in known:
            return value
        self.fault(name, value, one_of(value, known))
        return default

    def string(self, name: str, default: str) -> str:
        value = self.optional_string(name)
        return default if value is None else value

    def optional_string(self, name: str) -> str | None:
        value = self._take(name)
        if value is None or isinstance(value, str):
            return value
        self.fault(name, value, "must be a string")
        return None

    def option(self, name: str, default: str, known: Sequence[str]) -> str:
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, str):
            self.fault(name, value, f"use one of {', '.join(known)}")
            return default
        return self._known(name, value, known, default)

    def optional_option(self, name: str, known: Sequence[str]) -> str | None:
        return self.option(name, "", known) or None

    def options(self, name: str, known: Sequence[str]) -> tuple[str, ...]:
        """A list of different names, or none."""
        value = self._take(name)
        if value is None:
            return ()
        if not isinstance(value, list) or len({json.dumps(item) for item in value}) < len(value):
            self.fault(name, value, f"must be a list of different names: {', '.join(known)}")
            return ()
        for item in value:
            if item not in known:
                self.fault(name, item, one_of(str(item), known))
        return tuple(str(item) for item in value)

    def boolean(self, name: str, default: bool = False) -> bool:
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.fault(name, value, "must be true or false")
        return value is True

    def integer(self, name: str, default: int, *, low: int, high: int = LARGEST_INTEGER) -> int:
        value = self.optional_integer(name, low=low, high=high)
        return default if value is None else value

    def optional_integer(self, name: str, *, low: int, high: int = LARGEST_INTEGER) -> int | None:
        value = self._take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.fault(name, value, "must be a whole number")
            return None
        if not low <= value <= high:
            is_open = high == LARGEST_INTEGER and value < low
            self.fault(
                name,
                value,
                f"must be {low} or more" if is_open else f"must be from {low} to {high}",
            )
            return None
        return value

    def optional_integers(self, name: str, *, low: int) -> tuple[int, ...] | None:
        value = self._take(name)
        if value is None:
            return None
        if isinstance(value, list) and value:
            whole = tuple(
                item
                for item in value
                if isinstance(item, int)
                and not isinstance(item, bool)
                and low <= item <= LARGEST_INTEGER
            )
            if len(whole) == len(value):
                return whole
        self.fault(name, value, f"must be a list of whole numbers of {low} or more")
        return None

    def number(self, name: str, default: float, limits: Limits) -> float:
        value = self.optional_number(name)
        if value is None:
            return default
        if not limits.hold(value):
            self.fault(name, value, limits.mend(value))
            return default
        return value

    def required_number(self, name: str) -> float | None:
        if name not in self.content:
            self._seen.add(name)
            self.faults.append(
                f"{self._prefix.rstrip('.')} has no {name}: a range needs low and high"
            )
            return None
        return self.optional_number(name)

    def optional_number(self, name: str) -> float | None:
        value = self._take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fault(name, value, "must be a number")
            return None
        if not math.isfinite(value):
            self.fault(name, value, "give a finite number")
            return None
        return value

    def duration(self, name: str) -> float | None:
        """Seconds, or hours, minutes and seconds as in "1h30m"."""
        value = self._take(name)
        if value is None:
            return None
        seconds = parse_duration(value) if isinstance(value, str) else self.optional_number(name)
        if seconds is None or not 0 < seconds < math.inf:
            self.fault(name, value, 'write it like "30m", "2h" or "1h30m"')
            return None
        return seconds
