"""Commands that work: run, create, worker."""

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.cluster import read_placement, read_worker_count, remote_crew
from search.cli.completion import study_names
from search.cli.context import progress_shown, say, settings, storage_url
from search.cli.machines import training_machine
from search.cli.option_groups import VerbosityOptions, WorkOptions, with_option_groups
from search.cli.options import StorageOption
from search.cli.reading import read_count
from search.cli.spec_options import SpecChanges, with_spec_options

if TYPE_CHECKING:
    from search.engines.cluster.crew import RemoteCrew
    from search.engines.cluster.placement import Placement
    from search.engines.processes import Crew
    from search.engines.teams import Away, Team
    from search.machine.this_machine import Machine
    from search.studies.joining import JoinedStudy
    from search.worker.events import Tell

SPEC_HELP = "A study's spec, a TOML file; - is the standard input."


@dataclass(frozen=True)
class Hiring:
    """Which workers a command asks for, and where."""

    options: WorkOptions
    url: str
    # The placement is None where the workers are on this machine.
    placement: "Placement | None"
    # The workers are None where they are as many as train best.
    workers: int | None
    machine: "Machine"

    @classmethod
    def asked_by(cls, options: WorkOptions) -> "Hiring":
        """The workers that a command's options ask for. Raises CommandLineError, ClusterRefused."""
        url, asked = storage_url(options.storage), options.workers.workers
        placement = read_placement(options.cluster)
        count = read_count("--workers", asked) if placement is None else read_worker_count(asked)
        machine = training_machine(options.workers, options.place, url)
        return cls(options, url, placement, count, machine)

    def team(self, tell: "Tell", leaving: ExitStack) -> "Team | Away":
        """Whoever works on one study; those of a cluster are let go when `leaving` closes."""
        from search.engines.processes import hire
        from search.engines.teams import Away, Team

        root = self.options.place.artifact_root
        if self.placement is None:
            return Team(self.workers, partial(hire, url=self.url, artifact_root=root, quiet=True))
        crew = self.crew(self.placement, tell, quiet=True)
        leaving.callback(crew.close)
        return Away(crew.connect, crew)

    def crew(
        self, placement: "Placement", tell: "Tell", *, quiet: bool, forever: bool = False
    ) -> "RemoteCrew":
        """Workers of a cluster."""
        return remote_crew(
            placement,
            self.workers,
            self.url,
            self.machine,
            tell,
            self.options.place,
            quiet=quiet,
            forever=forever,
        )


@with_option_groups
@with_spec_options
def run(
    changes: SpecChanges,
    spec: Annotated[Path | None, typer.Argument(metavar="SPEC", help=SPEC_HELP)] = None,
    *,
    options: WorkOptions,
) -> None:
    """Create the study if it is not there, work on it until it ends, and print a summary."""
    options.verbosity.take_effect()
    request = changes.request(spec)
    hiring = Hiring.asked_by(options)
    from search.analysis.comparison import compare_study
    from search.engines.launch import run_study
    from search.engines.signals import Stopped
    from search.report.tables import width_of
    from search.report.text import summary_text
    from storage.engine import open_database
    from storage.hosts import this_host

    resume = ""

    def on_joined(joined: "JoinedStudy") -> None:
        nonlocal resume
        resume = _how_to_go_on(joined, options.storage)
        _tell(joined)

    try:
        with ExitStack() as leaving, progress_shown(options.verbosity.quiet) as tell:
            outcome = run_study(
                hiring.url,
                request,
                hiring.machine,
                host=this_host(settings().identity),
                tell=tell,
                team=hiring.team(tell, leaving),
                on_joined=on_joined,
            )
    except Stopped as stopped:
        if resume:
            stopped.how_to_go_on = f"the running trials were handed back; go on with: {resume}"
        raise
    with open_database(hiring.url) as database:
        found = compare_study(database, outcome.joined.stored.name)
        print(summary_text(found, width_of(sys.stdout, os.environ)))


def _how_to_go_on(joined: "JoinedStudy", storage: str | None) -> str:
    from storage.urls import parse_url, shown_url

    at = "" if storage is None else f" --storage {shown_url(parse_url(storage))}"
    return f"hypersearch run --study {joined.stored.name}{at}"


@with_option_groups
@with_spec_options
def create(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help=SPEC_HELP)],
    changes: SpecChanges,
    storage: StorageOption = None,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Record a study for workers; nothing is trained."""
    verbosity.take_effect()
    request = changes.request(spec)
    from search.studies.joining import create_or_join

    joined = create_or_join(storage_url(storage), request)
    _tell(joined)
    if joined.stored.state != "ended":
        say(
            f"study {joined.stored.name!r} is {joined.stored.state}: 'hypersearch worker' works"
            " on it"
        )


@with_option_groups
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
    *,
    options: WorkOptions,
) -> None:
    """Take trials of every open study until nothing is left."""
    options.verbosity.take_effect()
    from search.engines.signals import Stopped

    hiring, quiet = Hiring.asked_by(options), options.verbosity.quiet
    try:
        if hiring.placement is None:
            _serve(hiring, study or (), forever=forever)
            return
        with progress_shown(quiet) as tell:
            crew = hiring.crew(hiring.placement, tell, quiet=quiet, forever=forever)
            _serve_from_elsewhere(hiring.url, crew, study or ())
    except Stopped:
        say("stopped; a trial that was running was handed back")


def _serve(hiring: Hiring, names: Sequence[str], *, forever: bool) -> None:
    from objectives.errors import ProcessSpent
    from search.engines.processes import SUPERVISED, end_with_supervisor, exit_code, hire
    from search.engines.serving import serve_studies, share_for_service
    from storage.hosts import this_host

    url, machine, quiet = hiring.url, hiring.machine, hiring.options.verbosity.quiet
    if os.environ.get(SUPERVISED):
        end_with_supervisor()
    workers, asked = 1, hiring.workers
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
    root = hiring.options.place.artifact_root
    crew = hire(workers, machine, url, root, quiet=quiet, forever=forever)
    with crew.working(*names):
        crew.wait()
    _judge(crew)


def _serve_from_elsewhere(url: str, crew: "RemoteCrew", names: Sequence[str]) -> None:
    from search.engines.serving import check_service

    check_service(url, names=names)
    crew.connect()
    with crew.working(*names):
        crew.wait()
    _judge(crew)


def _judge(crew: "Crew | RemoteCrew") -> None:
    """Raises where workers have left for another reason than that nothing is left to do."""
    from search.engines.teams import WorkFailed

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
