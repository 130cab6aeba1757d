"""Commands that look: list, status, compare, dashboard."""

import io
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from search.cli.completion import study_names
from search.cli.context import (
    database_at,
    files_of,
    say,
    set_output,
    storage_url,
    watched_database_at,
    write_text,
)
from search.cli.options import (
    ArtifactRootOption,
    DebugOption,
    JsonOption,
    NameArgument,
    OutputOption,
    QuietOption,
    StorageOption,
    VerboseOption,
    WatchOption,
    refuse_together,
)
from search.cli.reading import CommandLineError, read_whole


def list_command(
    watch: WatchOption = False,
    storage: StorageOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Show the studies of a storage."""
    set_output(quiet, verbose, debug)
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
    from search.report.pages import list_pages

    with watched_database_at(storage) as database:
        show_pages(list_pages(watch_studies(database)), console_on(sys.stdout))


def status(
    name: NameArgument,
    watch: WatchOption = False,
    storage: StorageOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Show how far a study is: trials, workers, best trial, pace; with --watch until it has
    ended.
    """
    set_output(quiet, verbose, debug)
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
    from search.report.pages import status_pages

    with watched_database_at(storage) as database:
        show_pages(status_pages(watch_status(database, name)), console_on(sys.stdout))


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
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Rank the trials of a study and show what each technique did; of several studies, put them
    side by side.
    """
    set_output(quiet, verbose, debug)
    refuse_together({"--csv": csv, "--json": json})
    refuse_together({"--trial": trial is not None, "--csv": csv, "--all": every_row})
    from search.analysis.comparison import compare_studies, compare_study
    from search.report.documents import compare_document, to_json
    from search.report.one_trial import trial_text, trial_whole_document
    from search.report.side_by_side import side_by_side_document, side_by_side_text, trials_csv
    from search.report.text import compare_text

    several = list(dict.fromkeys(names))
    number = None if trial is None else read_whole("--trial", trial, 0, 10**9)
    if number is not None and len(several) > 1:
        raise CommandLineError(f"--trial {number}: name one study, not {len(several)}")
    width = _width(output)
    with database_at(storage) as database:
        if csv:
            found = [compare_study(database, name) for name in several]
            write_text(trials_csv(found, timings=timings), output)
            return
        if len(several) > 1:
            side_by_side = compare_studies(database, several)
            text = (
                to_json(side_by_side_document(side_by_side, timings=timings))
                if json
                else side_by_side_text(side_by_side, width)
            )
        elif number is not None:
            one = compare_study(database, several[0])
            text = (
                to_json(trial_whole_document(one, number, timings=timings))
                if json
                else trial_text(one, number, width)
            )
        else:
            one = compare_study(database, several[0])
            text = (
                to_json(compare_document(one, timings=timings))
                if json
                else compare_text(one, width, every_row=every_row)
            )
        write_text(f"{text}\n", output)


def _width(output: Path | None) -> int:
    """Characters of a line of what is written there; a file has the room that no terminal has."""
    from search.report.tables import width_of

    is_shown = output is None or str(output) == "-"
    return width_of(sys.stdout if is_shown else io.StringIO(), os.environ)


def dashboard(
    host: Annotated[str, typer.Option(metavar="NAME", help="A loopback address.")] = "127.0.0.1",
    port: Annotated[str, typer.Option(metavar="N", help="0 takes a free one.")] = "8080",
    artifact_root: ArtifactRootOption = None,
    storage: StorageOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Serve optuna-dashboard on this storage, looking only, until Ctrl-C."""
    set_output(quiet, verbose, debug)
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
