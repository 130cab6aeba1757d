"""Commands that answer: confirm."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.context import progress_shown, say, set_output, storage_url
from search.cli.options import (
    AcceptDataOption,
    ArtifactRootOption,
    DataMapOption,
    DataRootOption,
    DebugOption,
    DeviceOption,
    JsonOption,
    NameArgument,
    QuietOption,
    StorageOption,
    ThreadsOption,
    VerboseOption,
    WorkersOption,
)
from search.cli.reading import CommandLineError, parse_data_map, read_count, read_whole
from search.cli.work import machine_of

if TYPE_CHECKING:
    from search.studies.followups.confirming import Asked

MANY_TRAININGS = 200  # from which on they need a yes
NewOption = Annotated[
    bool, typer.Option("--new", help="Begin another, under other seeds, though one is there.")
]
EnqueueOption = Annotated[
    bool, typer.Option("--enqueue", help="Record it for workers elsewhere, and train nothing here.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Train though there is much to train.")]


def confirm(
    name: NameArgument,
    top: Annotated[
        str | None, typer.Option(metavar="N", help="So many of the best are judged [3].")
    ] = None,
    trial: Annotated[
        list[str] | None, typer.Option(metavar="N", help="Judge this one too; repeatable.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="first|N|none",
            help="What the choice is compared with [first, where the spec has a [[trial]]].",
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(metavar="N", help="Fresh seeds for each.")] = "5",
    no_test: Annotated[
        bool, typer.Option("--no-test", help="Leave the test split unread.")
    ] = False,
    new: NewOption = False,
    enqueue: EnqueueOption = False,
    yes: YesOption = False,
    timeout: Annotated[str | None, typer.Option(metavar="30m", help="End after that time.")] = None,
    workers: WorkersOption = "1",
    threads: ThreadsOption = "auto",
    device: DeviceOption = "auto",
    data_root: DataRootOption = None,
    data_map: DataMapOption = None,
    accept_data: AcceptDataOption = False,
    artifact_root: ArtifactRootOption = None,
    as_json: JsonOption = False,
    storage: StorageOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Retrain the best configurations under fresh seeds, and say what each is worth."""
    set_output(quiet, verbose, debug)
    asked = _asked(top, trial, baseline, seeds, no_test)
    url = storage_url(storage)
    count = read_count("--workers", workers)
    machine = machine_of(threads, device, data_root, url, artifact_root)
    machine = replace(machine, data_map=parse_data_map(data_map), accept_data=accept_data)
    from search.analysis.confirmation import read_confirmation
    from search.engines.answers import announce_confirmation, work_on
    from search.engines.launch import Team
    from search.engines.processes import hire
    from search.engines.signals import Stopped
    from search.report.confirmation import (
        confirmation_document,
        confirmation_text,
        opening_text,
    )
    from search.report.documents import to_json
    from search.spec.definition import stored_spec
    from search.spec.durations import duration
    from storage.backends import parse_url, shown
    from storage.engine import open_database
    from storage.hosts import this_host
    from storage.studies import find_study

    announced = announce_confirmation(
        url,
        name,
        asked,
        again=new,
        timeout_seconds=_seconds(timeout),
        allow=partial(_allow, yes),
    )
    with open_database(url) as database:
        stored = find_study(database, announced.stored.name)
        before = read_confirmation(database, stored)
        expected = announced.seconds
    if stored.state != "ended":
        epochs = stored_spec(stored).training.epochs
        time = None if expected is None else duration(expected / (count or 1))
        say(opening_text(before, epochs, time))
        at = "" if storage is None else f" --storage {shown(parse_url(storage))}"
        if enqueue:
            say(f"it waits for workers: hypersearch worker --study {name}{at}")
        else:
            say("Ctrl-C, and the same command goes on.")
            try:
                with progress_shown(quiet) as tell:
                    team = Team(
                        count, partial(hire, url=url, artifact_root=artifact_root, quiet=True)
                    )
                    work_on(url, stored, machine, host=this_host(), tell=tell, team=team)
            except Stopped as stopped:
                stopped.how_to_go_on = (
                    "the running trials were handed back; the same command goes on:"
                    f" hypersearch confirm {name}{at}"
                )
                raise
    with open_database(url) as database:
        found = read_confirmation(database, find_study(database, stored.name))
    print(to_json(confirmation_document(found)) if as_json else confirmation_text(found))


def _asked(
    top: str | None,
    trials: list[str] | None,
    baseline: str | None,
    seeds: str,
    no_test: bool,
) -> "Asked":
    from search.studies.followups.confirming import FEWEST_SEEDS, MOST_SEEDS, Asked

    if baseline is not None and baseline not in ("first", "none"):
        baseline = str(read_whole("--baseline (first, none or a trial's number)", baseline, 0))
    return Asked(
        None if top is None else read_whole("--top", top, 1, 1000),
        tuple(sorted({read_whole("--trial", each, 0, 10**9) for each in trials or ()})),
        baseline,
        read_whole("--seeds", seeds, FEWEST_SEEDS, MOST_SEEDS),
        not no_test,
    )


def _seconds(timeout: str | None) -> float | None:
    from search.spec.durations import parse_duration

    if timeout is None:
        return None
    found = parse_duration(timeout)
    if not found:
        raise CommandLineError(f"--timeout {timeout}: write a duration, as 30m or 1h30m")
    return found


def _allow(yes: bool, trainings: int) -> None:
    if trainings > MANY_TRAININGS and not yes:
        raise CommandLineError(
            f"that takes {trainings} trainings: add --yes to train them all, or ask for fewer with"
            " --top and --seeds"
        )
