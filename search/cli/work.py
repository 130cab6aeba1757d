"""Commands that work: run, create, worker."""

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.cluster import read_placement, read_worker_count, remote_crew
from search.cli.completion import study_names
from search.cli.context import (
    data_folder,
    files_of,
    progress_shown,
    say,
    set_output,
    settings,
    storage_url,
)
from search.cli.options import (
    AcceptDataOption,
    ArtifactRootOption,
    CpusPerWorkerOption,
    DataMapOption,
    DataRootOption,
    DebugOption,
    DeviceOption,
    EngineOption,
    GpusPerWorkerOption,
    QuietOption,
    RayAddressOption,
    ShipDataOption,
    StorageOption,
    ThreadsOption,
    VerboseOption,
    WorkersOption,
)
from search.cli.reading import parse_data_map, read_count
from search.cli.spec_options import SpecChanges, with_spec_options

if TYPE_CHECKING:
    from search.engines.cluster.crew import RemoteCrew
    from search.engines.processes import Crew
    from search.machine.this_machine import Machine
    from search.studies.joining import JoinedStudy

SPEC_HELP = "A study's spec, a TOML file; - is the standard input."


@with_spec_options
def run(
    changes: SpecChanges,
    spec: Annotated[Path | None, typer.Argument(metavar="SPEC", help=SPEC_HELP)] = None,
    workers: WorkersOption = "1",
    threads: ThreadsOption = "auto",
    device: DeviceOption = "auto",
    engine: EngineOption = "local",
    ray_address: RayAddressOption = None,
    cpus_per_worker: CpusPerWorkerOption = None,
    gpus_per_worker: GpusPerWorkerOption = None,
    ship_data: ShipDataOption = False,
    data_root: DataRootOption = None,
    data_map: DataMapOption = None,
    accept_data: AcceptDataOption = False,
    artifact_root: ArtifactRootOption = None,
    storage: StorageOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Create the study if it is not there, work on it until it ends, and print a summary."""
    set_output(quiet, verbose, debug)
    request = changes.request(spec)
    url = storage_url(storage)
    placement = read_placement(engine, ray_address, cpus_per_worker, gpus_per_worker, ship_data)
    count = read_count("--workers", workers) if placement is None else read_worker_count(workers)
    machine = machine_of(threads, device, data_root, url, artifact_root)
    machine = replace(machine, data_map=parse_data_map(data_map), accept_data=accept_data)
    from search.analysis.comparison import compare_study
    from search.engines.launch import Away, Team, run_study
    from search.engines.processes import hire
    from search.engines.signals import Stopped
    from search.report.tables import width_of
    from search.report.text import summary_text
    from storage.engine import open_database
    from storage.hosts import this_host
    from storage.urls import parse_url, shown_url

    resume = ""

    def on_joined(joined: "JoinedStudy") -> None:
        nonlocal resume
        at = "" if storage is None else f" --storage {shown_url(parse_url(storage))}"
        resume = f"hypersearch run --study {joined.stored.name}{at}"
        _tell(joined)

    try:
        with ExitStack() as team_open, progress_shown(quiet) as tell:
            team: Team | Away = Team(
                count, partial(hire, url=url, artifact_root=artifact_root, quiet=True)
            )
            if placement is not None:
                crew = remote_crew(
                    placement,
                    count,
                    url,
                    machine,
                    tell,
                    data_root=data_root,
                    artifact_root=artifact_root,
                    quiet=True,
                )
                team_open.callback(crew.close)
                team = Away(crew.connect, crew)
            outcome = run_study(
                url,
                request,
                machine,
                host=this_host(settings().identity),
                tell=tell,
                team=team,
                on_joined=on_joined,
            )
    except Stopped as stopped:
        if resume:
            stopped.how_to_go_on = f"the running trials were handed back; go on with: {resume}"
        raise
    with open_database(url) as database:
        found = compare_study(database, outcome.joined.stored.name)
        print(summary_text(found, width_of(sys.stdout, os.environ)))


@with_spec_options
def create(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help=SPEC_HELP)],
    changes: SpecChanges,
    storage: StorageOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Record a study for workers; nothing is trained."""
    set_output(quiet, verbose, debug)
    request = changes.request(spec)
    from search.studies.joining import create_or_join

    joined = create_or_join(storage_url(storage), request)
    _tell(joined)
    if joined.stored.state != "ended":
        say(
            f"study {joined.stored.name!r} is {joined.stored.state}: 'hypersearch worker' works"
            " on it"
        )


def worker(
    study: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only this study; repeatable [every open one].",
            autocompletion=study_names,
        ),
    ] = None,
    forever: Annotated[bool, typer.Option("--forever", help="Wait for new studies.")] = False,
    workers: WorkersOption = "1",
    threads: ThreadsOption = "auto",
    device: DeviceOption = "auto",
    engine: EngineOption = "local",
    ray_address: RayAddressOption = None,
    cpus_per_worker: CpusPerWorkerOption = None,
    gpus_per_worker: GpusPerWorkerOption = None,
    ship_data: ShipDataOption = False,
    data_root: DataRootOption = None,
    data_map: DataMapOption = None,
    accept_data: AcceptDataOption = False,
    artifact_root: ArtifactRootOption = None,
    storage: StorageOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Take trials of every open study until nothing is left."""
    set_output(quiet, verbose, debug)
    from search.engines.signals import Stopped

    url = storage_url(storage)
    placement = read_placement(engine, ray_address, cpus_per_worker, gpus_per_worker, ship_data)
    count = read_count("--workers", workers) if placement is None else read_worker_count(workers)
    machine = machine_of(threads, device, data_root, url, artifact_root)
    machine = replace(machine, data_map=parse_data_map(data_map), accept_data=accept_data)
    try:
        if placement is None:
            _serve(
                url,
                machine,
                count,
                study or (),
                forever=forever,
                artifact_root=artifact_root,
                quiet=quiet,
            )
            return
        with progress_shown(quiet) as tell:
            crew = remote_crew(
                placement,
                count,
                url,
                machine,
                tell,
                data_root=data_root,
                artifact_root=artifact_root,
                quiet=quiet,
                forever=forever,
            )
            _serve_from_elsewhere(url, crew, study or ())
    except Stopped:
        say("stopped; a trial that was running was handed back")


def _serve(
    url: str,
    machine: "Machine",
    asked: int | None,
    names: Sequence[str],
    *,
    forever: bool,
    artifact_root: str | None,
    quiet: bool,
) -> None:
    from objectives.errors import ProcessSpent
    from search.engines.launch import serve_studies, share_for_service
    from search.engines.processes import SUPERVISED, end_with_supervisor, exit_code, hire
    from storage.hosts import this_host

    if os.environ.get(SUPERVISED):
        end_with_supervisor()
    workers = 1
    with progress_shown(quiet) as tell:
        if asked != 1:
            share = share_for_service(url, machine, asked, names=names, forever=forever, tell=tell)
            machine, workers = machine.shared(share), share.workers
        if workers == 1:
            host = this_host(settings().identity)
            try:
                serve_studies(url, machine, names=names, forever=forever, host=host, tell=tell)
                return
            except ProcessSpent as spent:
                if os.environ.get(SUPERVISED):
                    raise typer.Exit(exit_code(spent)) from None
                machine = machine.after(spent)
    crew = hire(workers, machine, url, artifact_root, quiet=quiet, forever=forever)
    with crew.working(*names):
        crew.wait()
    _judge(crew)


def _serve_from_elsewhere(url: str, crew: "RemoteCrew", names: Sequence[str]) -> None:
    from search.engines.launch import check_service

    check_service(url, names=names)
    crew.connect()
    with crew.working(*names):
        crew.wait()
    _judge(crew)


def _judge(crew: "Crew | RemoteCrew") -> None:
    """Raises where workers have left for another reason than that nothing is left to do."""
    from search.engines.launch import WorkFailed

    if crew.told is not None:
        raise typer.Exit(crew.told)
    if any(crew.exit_codes):
        raise WorkFailed.workers(crew.last_words)


def _tell(joined: "JoinedStudy") -> None:
    from search.report.ending import why_it_stays_ended

    for notice in joined.notices:
        say(notice)
    stored = joined.stored
    if stored.state != "ended":
        return
    if stored.end_reason == "trials" and not joined.is_raised:
        say(f"study {stored.name!r} is finished: nothing is trained again")
    else:
        stays = "stays ended" if joined.is_raised else "is finished, nothing is trained again"
        say(f"study {stored.name!r} {stays}: {why_it_stays_ended(stored, joined.spec)}")


def machine_of(
    threads: str, device: str, data_root: str | None, url: str, artifact_root: str | None
) -> "Machine":
    """How this machine is to work, as the options say."""
    from objectives.device_name import check_device_name
    from search.machine.settings import check_openmp

    check_device_name(device)
    check_openmp(os.environ)
    machine = settings().machine(
        files_of(url, artifact_root),
        data_root=data_folder(data_root),
        device=device,
        threads=read_count("--threads", threads),
    )
    return replace(machine, own_process=True)
