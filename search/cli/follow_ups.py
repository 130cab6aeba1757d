"""How the commands that answer by training have it done, and show what has come out."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar

import typer

from search.cli.context import progress_shown, say, storage_url
from search.cli.machines import training_machine
from search.cli.option_groups import PlaceOptions, VerbosityOptions, WorkerOptions
from search.cli.options import JsonOption, StorageOption
from search.cli.reading import CommandLineError, read_count

if TYPE_CHECKING:
    from search.engines.answers import Announced, Commission
    from search.machine.this_machine import Machine
    from search.report.documents import Json
    from storage.engine import Database
    from storage.studies import StoredStudy

# So many trainings, or more, need a yes.
MANY_TRAININGS = 200


@dataclass(frozen=True, kw_only=True)
class FollowUpOptions:
    """The options of every command that answers by training."""

    new: Annotated[
        bool, typer.Option("--new", help="Begin another, under other seeds, though one is there.")
    ] = False
    enqueue: Annotated[
        bool,
        typer.Option("--enqueue", help="Record it for workers elsewhere, and train nothing here."),
    ] = False
    yes: Annotated[bool, typer.Option("--yes", help="Train though there is much to train.")] = False
    timeout: Annotated[str | None, typer.Option(metavar="30m", help="End after that time.")] = None
    workers: WorkerOptions
    place: PlaceOptions
    as_json: JsonOption = False
    timings: Annotated[
        bool,
        typer.Option("--timings", help="With times and devices of each training in --json."),
    ] = False
    storage: StorageOption = None
    verbosity: VerbosityOptions

    def timeout_seconds(self) -> float | None:
        """After so long the follow-up ends; `None`: never. Raises CommandLineError."""
        from search.spec.durations import parse_duration

        if self.timeout is None:
            return None
        found = parse_duration(self.timeout)
        if not found:
            raise CommandLineError(f"--timeout {self.timeout}: write a duration, as 30m or 1h30m")
        return found

    def allow(self, trainings: int) -> None:
        """Raises CommandLineError where so many trainings need a yes."""
        if trainings > MANY_TRAININGS and not self.yes:
            raise CommandLineError(
                f"that takes {trainings} trainings: add --yes to train them all, or ask for fewer"
                " with --top and --seeds"
            )


Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Shown(Generic[Answer]):
    """How an answer is read, and shown: the line that opens the work, the document of --json and
    the text for a terminal of so many columns.
    """

    read: "Callable[[Database, StoredStudy], Answer]"
    opening: Callable[[Answer, int, str | None], str]
    document: "Callable[[Answer], Mapping[str, Json]]"
    text: Callable[[Answer, int], str]


@dataclass(frozen=True)
class Work:
    """How a follow-up is worked on from here."""

    url: str
    # The storage is as it was given.
    storage: str | None
    # The name is the parent's.
    name: str
    command: str
    workers: int | None
    machine: "Machine"
    artifact_root: str | None
    quiet: bool

    @classmethod
    def asked_by(cls, options: FollowUpOptions, name: str, command: str) -> "Work":
        """The work that a command's options ask for."""
        url, workers = storage_url(options.storage), options.workers
        count = read_count("--workers", workers.workers)
        machine = training_machine(workers, options.place, url)
        root, quiet = options.place.artifact_root, options.verbosity.quiet
        return cls(url, options.storage, name, command, count, machine, root, quiet)

    def commission(self, options: FollowUpOptions) -> "Commission":
        """On which terms the follow-up is to be there."""
        from search.engines.answers import Commission

        return Commission(
            self.url,
            self.name,
            again=options.new,
            timeout_seconds=options.timeout_seconds(),
            allow=options.allow,
            machine=None if options.enqueue else self.machine,
            artifact_root=self.machine.files.artifact_root,
        )

    def answered(
        self, announced: "Announced", shown: Shown[Answer], options: FollowUpOptions
    ) -> Answer:
        """Trains what is missing, prints the answer and returns it."""
        from search.report.documents import to_json
        from search.report.tables import width_of

        self.do(announced, shown.read, shown.opening, options.enqueue)
        found = self.answer(announced, shown.read)
        if options.as_json:
            print(to_json({**shown.document(found), **self.runs(announced, options.timings)}))
        else:
            print(shown.text(found, width_of(sys.stdout, os.environ)))
        return found

    def do(
        self,
        announced: "Announced",
        read: "Callable[[Database, StoredStudy], Answer]",
        opening: Callable[[Answer, int, str | None], str],
        enqueue: bool,
    ) -> None:
        """Says what it takes, and trains what is left of it."""
        from search.engines.answers import work_on
        from search.engines.processes import hire
        from search.engines.signals import Stopped
        from search.engines.teams import Team
        from search.spec.definition import stored_spec
        from search.spec.durations import duration
        from storage.hosts import this_host
        from storage.urls import parse_url, shown_url

        stored = announced.stored
        if stored.state == "ended":
            return
        expected = (
            None if announced.seconds is None else duration(announced.seconds / (self.workers or 1))
        )
        before = self.answer(announced, read)
        say(opening(before, stored_spec(stored).training.epochs, expected))
        at = "" if self.storage is None else f" --storage {shown_url(parse_url(self.storage))}"
        if enqueue:
            say(f"it waits for workers: hypersearch worker --study {self.name}{at}")
            return
        say("Ctrl-C, and the same command goes on.")
        root, begun = self.artifact_root, time.monotonic()
        team = Team(self.workers, partial(hire, url=self.url, artifact_root=root, quiet=True))
        try:
            with progress_shown(self.quiet) as tell:
                work_on(self.url, stored, self.machine, host=this_host(), tell=tell, team=team)
            say(f"{stored.name}: done in {duration(time.monotonic() - begun)}")
        except Stopped as stopped:
            stopped.how_to_go_on = (
                "the running trials were handed back; the same command goes on:"
                f" hypersearch {self.command} {self.name}{at}"
            )
            raise

    def answer(
        self, announced: "Announced", read: "Callable[[Database, StoredStudy], Answer]"
    ) -> Answer:
        """What is known now."""
        from storage.engine import open_database
        from storage.studies import find_study

        with open_database(self.url) as database:
            return read(database, find_study(database, announced.stored.name))

    def runs(self, announced: "Announced", timings: bool) -> "Mapping[str, Json]":
        """What `--timings` adds to the answer's document."""
        from search.analysis.judged import read_judged
        from search.report.answer_fields import runs_document

        return {"runs": runs_document(self.answer(announced, read_judged))} if timings else {}
