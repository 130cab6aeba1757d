"""What the commands work with: settings, the database, and how they speak."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from search.cli.reading import CommandLineError
from search.report.streams import OutputGone

if TYPE_CHECKING:
    from search.machine.settings import Settings
    from search.machine.this_machine import Files
    from search.worker.events import Tell
    from storage.engine import Database


_is_quiet = False


def say(line: str) -> None:
    """What somebody may like to know, on standard error; under -q nobody does."""
    if not _is_quiet:
        say_always(line)


def say_always(line: str) -> None:
    try:
        print(line, file=sys.stderr)
    # The terminal may be closed; what there is to do is done all the same.
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


@contextmanager
def progress_shown(quiet: bool) -> "Iterator[Tell]":
    """Whom to tell what happens: standard error shows it. Where nobody looks on, nothing is loaded
    for that.
    """
    if quiet:
        from search.worker.events import nobody

        yield nobody
        return
    from search.report.console import console_on
    from search.report.live import Screen

    with Screen(console_on(sys.stderr)) as screen:
        yield screen.tell


def set_output(quiet: bool, verbose: bool, debug: bool) -> None:
    """What of the process is told on standard error, beside errors."""
    global _is_quiet
    import logging

    _is_quiet = quiet

    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    for name in ("search", "storage", "objectives"):
        logging.getLogger(name).setLevel(level)
    # Where it keeps fonts for a user without a home is nothing to act on.
    logging.getLogger("matplotlib").setLevel(logging.DEBUG if debug else logging.ERROR)


def settings() -> "Settings":
    from search.machine.settings import Settings

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
    from search.engines.following import PATIENCE_SECONDS
    from storage.engine import open_database

    return open_database(storage_url(storage), patience_seconds=PATIENCE_SECONDS)


def files_of(storage: str | None, artifact_root: str | None) -> "Files":
    from search.machine.settings import read_artifact_root

    asked = None if artifact_root is None else read_artifact_root("--artifact-root", artifact_root)
    return settings().files(storage_url(storage), asked)


def data_folder(data_root: str | None) -> Path | None:
    from search.machine.settings import read_folder

    return None if data_root is None else read_folder("--data-root", data_root)


def write_text(text: str, file: Path | None, *, is_new: bool = False) -> None:
    """Prints the text, also where the file is called "-", or writes it as UTF-8; `is_new`: to one
    not there yet.
    """
    if file is None or str(file) == "-":
        sys.stdout.write(text)
        return
    from search.machine.files import write_new, write_whole

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
