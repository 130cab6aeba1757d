"""Commands that look: list, status, compare, dashboard."""

import io
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.completion import study_names
from search.cli.context import (
    database_at,
    files_of,
    say,
    storage_url,
    watched_database_at,
    write_text,
)
from search.cli.option_groups import VerbosityOptions, with_option_groups
from search.cli.options import (
    ArtifactRootOption,
    JsonOption,
    NameArgument,
    OutputOption,
    StorageOption,
    WatchOption,
    refuse_together,
)
from search.cli.reading import CommandLineError, read_whole

if TYPE_CHECKING:
    from storage.engine import Database


@with_option_groups
def list_command(
    watch: WatchOption = False,
    storage: StorageOption = None,
    json: JsonOption = False,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Show the studies of a storage."""
    verbosity.take_effect()
    refuse_together({"--watch": watch, "--json": json})
    if watch:
        _watch_studies(storage)
        return
    from search.analysis.status import list_studies
    from search.report.documents import list_document, to_json
    from search.report.text import list_text

    with database_at(storage) as database:
        records = list_studies(database)
    if not records and not json:
        say("no study yet: 'hypersearch run' starts one")
        return
    print(to_json(list_document(records)) if json else list_text(records))


def _watch_studies(storage: str | None) -> None:
    from search.engines.following import watch_studies
    from search.report.console import console_on
    from search.report.live import show_pages
    from search.report.watching import list_pages

    with watched_database_at(storage) as database:
        show_pages(list_pages(watch_studies(database)), console_on(sys.stdout))


@with_option_groups
def status(
    name: NameArgument,
    watch: WatchOption = False,
    storage: StorageOption = None,
    json: JsonOption = False,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Show how far a study is: trials, workers, best trial, pace; with --watch until it has
    ended.
    """
    verbosity.take_effect()
    refuse_together({"--watch": watch, "--json": json})
    if watch:
        _watch_status(storage, name)
        return
    from search.analysis.status import study_status
    from search.report.documents import status_document, to_json
    from search.report.text import status_text

    with database_at(storage) as database:
        found = study_status(database, name)
    print(to_json(status_document(found)) if json else status_text(found))


def _watch_status(storage: str | None, name: str) -> None:
    from search.engines.following import watch_status
    from search.report.console import console_on
    from search.report.live import show_pages
    from search.report.watching import status_pages

    with watched_database_at(storage) as database:
        show_pages(status_pages(watch_status(database, name)), console_on(sys.stdout))


@with_option_groups
def compare(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Studies.", autocompletion=study_names)
    ],
    timings: Annotated[
        bool, typer.Option("--timings", help="With times and devices in --json and --csv.")
    ] = False,
    csv: Annotated[bool, typer.Option("--csv", help="One row a trial.")] = False,
    trial: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="This trial of one study, whole: parameters, curve, how it ran."
        ),
    ] = None,
    every_row: Annotated[
        bool, typer.Option("--all", help="Every trial, as --json and --csv have them.")
    ] = False,
    output: OutputOption = None,
    storage: StorageOption = None,
    json: JsonOption = False,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Rank the trials of a study and show what each technique did; of several studies, put them
    side by side.
    """
    verbosity.take_effect()
    refuse_together({"--csv": csv, "--json": json})
    refuse_together({"--trial": trial is not None, "--csv": csv, "--all": every_row})
    several = list(dict.fromkeys(names))
    number = None if trial is None else read_whole("--trial", trial, 0, 10**9)
    if number is not None and len(several) > 1:
        raise CommandLineError(f"--trial {number}: name one study, not {len(several)}")
    width = _width(output)
    with database_at(storage) as database:
        if csv:
            write_text(_csv(database, several, timings), output)
            return
        if len(several) > 1:
            text = _side_by_side(database, several, json, timings, width)
        elif number is not None:
            text = _one_trial(database, several[0], number, json, timings, width)
        else:
            text = _ranked(database, several[0], json, timings, every_row, width)
        write_text(f"{text}\n", output)


def _csv(database: "Database", names: list[str], timings: bool) -> str:
    from search.analysis.comparison import compare_study
    from search.report.side_by_side import trials_csv

    return trials_csv([compare_study(database, name) for name in names], timings=timings)


def _side_by_side(
    database: "Database", names: list[str], json: bool, timings: bool, width: int
) -> str:
    from search.analysis.comparison import compare_studies
    from search.report.documents import to_json
    from search.report.side_by_side import side_by_side_document, side_by_side_text

    found = compare_studies(database, names)
    if json:
        return to_json(side_by_side_document(found, timings=timings))
    return side_by_side_text(found, width)


def _one_trial(
    database: "Database", name: str, number: int, json: bool, timings: bool, width: int
) -> str:
    from search.analysis.comparison import compare_study
    from search.report.documents import to_json
    from search.report.one_trial import trial_text, trial_whole_document

    found = compare_study(database, name)
    if json:
        return to_json(trial_whole_document(found, number, timings=timings))
    return trial_text(found, number, width)


def _ranked(
    database: "Database", name: str, json: bool, timings: bool, every_row: bool, width: int
) -> str:
    from search.analysis.comparison import compare_study
    from search.report.documents import compare_document, to_json
    from search.report.text import compare_text

    found = compare_study(database, name)
    if json:
        return to_json(compare_document(found, timings=timings))
    return compare_text(found, width, every_row=every_row)


def _width(output: Path | None) -> int:
    """Characters of a line of what is written there; a file has the room that no terminal has."""
    from search.report.tables import width_of

    is_shown = output is None or str(output) == "-"
    return width_of(sys.stdout if is_shown else io.StringIO(), os.environ)


@with_option_groups
def dashboard(
    host: Annotated[str, typer.Option(metavar="NAME", help="A loopback address.")] = "127.0.0.1",
    port: Annotated[str, typer.Option(metavar="N", help="0 takes a free one.")] = "8080",
    artifact_root: ArtifactRootOption = None,
    storage: StorageOption = None,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Serve optuna-dashboard on this storage, looking only, until Ctrl-C."""
    verbosity.take_effect()
    from optuna.storages import get_storage

    from search.dashboard import refresh_artifacts, serve
    from search.machine.folders import FolderUnknown
    from storage.artifacts import open_artifact_store
    from storage.engine import open_for_work
    from storage.urls import parse_url, shown_url

    url, number = storage_url(storage), read_whole("--port", port, 0, 65535)
    database, rdb = open_for_work(url, create=False, write=False)
    with database:
        seen = shown_url(parse_url(url))
        try:
            store = open_artifact_store(files_of(storage, artifact_root).artifact_root)
        # No artifact was ever kept in a folder that nobody knows.
        except FolderUnknown:
            store = None
        ready = lambda address: say(f"looking at {seen} on {address}, until Ctrl-C")  # noqa: E731
        cached = get_storage(rdb)
        serve(cached, host, number, ready, store, partial(refresh_artifacts, database, cached))
