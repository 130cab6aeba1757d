"""What the commands share: their common options, settings, and how they speak."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.completion import study_names
from search.streams import OutputGone
from storage.text import is_one_line

if TYPE_CHECKING:
    from search.document import Document
    from search.objective import Files
    from search.settings import Settings
    from storage.engine import Database

LONGEST_SHOWN = 80  # characters of a value that is refused
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


class CommandLineError(Exception):
    """An argument or option that cannot be used."""


NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A study.", autocompletion=study_names)
]
StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="Database [HYPERSEARCH_STORAGE, else sqlite:///hypersearch.db].",
    ),
]
QuietOption = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]
VerboseOption = Annotated[bool, typer.Option("-v", "--verbose", help="Log what is done.")]
DebugOption = Annotated[
    bool, typer.Option("--debug", help="Log everything; errors with their traceback.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document.")]
WatchOption = Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")]
ArtifactRootOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help=(
            "Where artifacts are kept, or s3://BUCKET [HYPERSEARCH_ARTIFACTS, else by the"
            " database]."
        ),
    ),
]
DataRootOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="Where data sets lie [HYPERSEARCH_DATA, else the user's cache]."
    ),
]
DataMapOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STORED=HERE",
        help=(
            "Where a folder of images lies on this machine, by its name in the spec or the storage;"
            " repeatable."
        ),
    ),
]
AcceptDataOption = Annotated[
    bool,
    typer.Option(
        "--accept-data",
        help="Go on with the data that is here, though earlier trials had other data.",
    ),
]
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write there instead.")
]


def refuse_together(given: Mapping[str, bool]) -> None:
    """Raises CommandLineError where more than one of these options is given."""
    names = [name for name, is_given in given.items() if is_given]
    if len(names) > 1:
        raise CommandLineError(f"{' and '.join(names)} do not go together: leave one out")


def say(line: str) -> None:
    try:
        print(line, file=sys.stderr)
    except OSError:  # its terminal is closed, say: what there is to do is done all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def set_logging(verbose: bool, debug: bool) -> None:
    import logging

    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    for name in ("search", "storage", "objectives"):
        logging.getLogger(name).setLevel(level)
    # Where it keeps fonts for a user without a home is nothing to act on.
    logging.getLogger("matplotlib").setLevel(logging.DEBUG if debug else logging.ERROR)


def settings() -> "Settings":
    from search.settings import Settings

    return Settings.from_environment(os.environ)


def storage_url(storage: str | None) -> str:
    """What the option says, be it nothing, else what the environment says."""
    return settings().storage if storage is None else storage


def database_at(storage: str | None) -> "Database":
    from storage.engine import open_database

    return open_database(storage_url(storage))


def watched_database_at(storage: str | None) -> "Database":
    """As `database_at`, for one look after another: each gives up soon, as the next one comes
    anyway.
    """
    from search.watch import PATIENCE_SECONDS
    from storage.engine import open_database

    return open_database(storage_url(storage), patience_seconds=PATIENCE_SECONDS)


def files_of(storage: str | None, artifact_root: str | None) -> "Files":
    from search.settings import read_artifact_root

    asked = None if artifact_root is None else read_artifact_root("--artifact-root", artifact_root)
    return settings().files(storage_url(storage), asked)


def data_folder(data_root: str | None) -> Path | None:
    from search.settings import read_folder

    return None if data_root is None else read_folder("--data-root", data_root)


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
    most = most_threads()  # of workers, too: more is a slip of the keyboard
    if _WHOLE.fullmatch(text) is None or int(text) < 1:
        raise CommandLineError(f"{option} {_cut(text)}: give a whole number of 1 or more, or auto")
    if int(text) > most:
        raise CommandLineError(
            f"{option} {text}: more than this machine can use: give a whole number from 1 to"
            f" {most}, or auto"
        )
    return int(text)


def _cut(text: str) -> str:
    shown = text if text.isprintable() and text else repr(text)
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[: LONGEST_SHOWN - 3]}..."


def change(key: str, value: str | int | float) -> "Document":
    table, _, name = key.partition(".")
    return {table: {name: value}}


def parse_change(text: str) -> "Document":
    """`--set KEY=VALUE`: a dotted TOML key, and TOML or else a string."""
    from search.document import parse_toml

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
        pass  # not TOML: a string, unless it is the key that is wrong
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
    from search.data_location import read_data_map, split_data_map

    pairs = {}
    for text in texts or ():
        if (pair := split_data_map(text)) is None:
            raise CommandLineError(
                f"--data-map {text}: write STORED=HERE, as images:photos=/mnt/photos"
            )
        pairs[pair[0]] = pair[1]
    return read_data_map(pairs)


def write_text(text: str, file: Path | None, *, is_new: bool = False) -> None:
    """Prints the text, also where the file is called "-", or writes it as UTF-8; `is_new`: to one
    not there yet.
    """
    if file is None or str(file) == "-":
        sys.stdout.write(text)
        return
    from search.files import write_new, write_whole

    try:
        (write_new if is_new else write_whole)(file, text.encode("utf-8", "backslashreplace"))
    except BrokenPipeError:
        raise OutputGone from None
    except FileExistsError:
        raise CommandLineError(f"{file} is there already: name another file") from None
    except OSError as error:
        raise CommandLineError(
            f"{file}: cannot be written ({error.strerror}): name another file"
        ) from error
