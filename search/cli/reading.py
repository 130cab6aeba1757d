"""What options say, from text to values; each raises CommandLineError."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from storage.text import is_one_line

if TYPE_CHECKING:
    from search.spec.document import Document


# A value that is refused is shown by so many of its characters.
LONGEST_SHOWN = 80
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


class CommandLineError(Exception):
    """An argument or option that cannot be used."""


def read_whole(option: str, text: str, low: int | None = None, high: int | None = None) -> int:
    """A whole number as people write it: no other digits than 0 to 9, no signs but '-', not 1_0,
    not 0x2.
    """
    bounds = "" if low is None or high is None else f" from {low} to {high}"
    if _WHOLE.fullmatch(text) is None:
        raise CommandLineError(
            f"{option} {_cut(text)}: give a whole number{bounds}, in the digits 0 to 9"
        )
    number = int(text)
    if (low is not None and number < low) or (high is not None and number > high):
        raise CommandLineError(f"{option} {text}: give a whole number{bounds}")
    return number


def read_number(option: str, text: str) -> float:
    if _NUMBER.fullmatch(text) is None:
        raise CommandLineError(f"{option} {_cut(text)}: give a number, as 0.99")
    return float(text)


def read_count(option: str, text: str) -> int | None:
    """A whole number of 1 or more, and no more than this machine can be meant to have; `None` for
    auto.
    """
    from objectives.processor import most_threads

    if text == "auto":
        return None
    # Workers are no more either: more is a slip of the keyboard.
    most = most_threads()
    if _WHOLE.fullmatch(text) is None or int(text) < 1:
        raise CommandLineError(f"{option} {_cut(text)}: give a whole number of 1 or more, or auto")
    if int(text) > most:
        raise CommandLineError(
            f"{option} {text}: more than this machine can use: give a whole number from 1 to"
            f" {most}, or auto"
        )
    return int(text)


def read_amount(option: str, text: str) -> float:
    """How much of something countable: a whole number, or a share of one."""
    amount = float(text) if _NUMBER.fullmatch(text) is not None else -1.0
    if not 0 <= amount <= 10**6 or (amount > 1 and amount != int(amount)):
        raise CommandLineError(
            f"{option} {_cut(text)}: give a whole number, or a share of one, as 0.5"
        )
    return amount


def _cut(text: str) -> str:
    shown = text if text.isprintable() and text else repr(text)
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[: LONGEST_SHOWN - 3]}..."


def change(key: str, value: str | int | float) -> "Document":
    table, _, name = key.partition(".")
    return {table: {name: value}}


def parse_change(text: str) -> "Document":
    """`--set KEY=VALUE`: a dotted TOML key, and TOML or else a string."""
    from search.spec.document import parse_toml

    if not is_one_line(text):
        raise CommandLineError(
            f"--set {text!r} holds a control character, or bytes that are no UTF-8: leave them out"
        )
    key, equals, value = text.partition("=")
    if not equals:
        raise CommandLineError(f"--set {text}: write KEY=VALUE, as training.epochs=3")
    try:
        return parse_toml(f"{key} = {value}")
    except ValueError:
        # What is not TOML is a string, unless it is the key that is wrong.
        pass
    try:
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        return parse_toml(f'{key} = "{quoted}"')
    except ValueError:
        raise CommandLineError(
            f"--set {text}: {key!r} is no dotted TOML key, as training.epochs"
        ) from None


def parse_data_map(texts: list[str] | None) -> dict[str, Path]:
    """`--data-map STORED=HERE`, for each of them. Raises CommandLineError, and DataError where HERE
    is no folder.
    """
    from search.studies.data_location import read_data_map, split_data_map

    pairs = {}
    for text in texts or ():
        if (pair := split_data_map(text)) is None:
            raise CommandLineError(
                f"--data-map {text}: write STORED=HERE, as images:photos=/mnt/photos"
            )
        pairs[pair[0]] = pair[1]
    return read_data_map(pairs)
