"""Commands that answer: confirm, ablate, reproduce."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

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
    from search.engines.answers import Announced
    from search.machine.this_machine import Machine
    from search.report.documents import Json
    from search.studies.followups.ablating import AskedToAblate
    from search.studies.followups.confirming import AskedToConfirm
    from storage.engine import Database
    from storage.studies import StoredStudy

# So many trainings, or more, need a yes.
MANY_TRAININGS = 200
NewOption = Annotated[
    bool, typer.Option("--new", help="Begin another, under other seeds, though one is there.")
]
EnqueueOption = Annotated[
    bool, typer.Option("--enqueue", help="Record it for workers elsewhere, and train nothing here.")
]
TimeoutOption = Annotated[str | None, typer.Option(metavar="30m", help="End after that time.")]
TimingsOption = Annotated[
    bool, typer.Option("--timings", help="With times and devices of each training in --json.")
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
            metavar="first|neutral|pretrained|N|none",
            help="What the choice is compared with [first, where the spec has a [[trial]]];"
            " neutral: the best trial's optimizer without any technique, its learning rate tuned;"
            " pretrained: a logistic regression on features of a network that others have trained"
            " on ImageNet.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights of the pretrained network [those of torchvision, downloaded].",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The pretrained network, as torchvision has it [resnet18]."
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
    timings: TimingsOption = False,
    storage: StorageOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Retrain the best configurations under fresh seeds, and say what each is worth."""
    set_output(quiet, verbose, debug)
    asked = _asked(top, trial, baseline, seeds, no_test)
    from search.studies.followups.weights import given_weights

    given = given_weights(baseline, backbone, weights)
    url = storage_url(storage)
    count = read_count("--workers", workers)
    machine = machine_of(threads, device, data_root, url, artifact_root)
    machine = replace(machine, data_map=parse_data_map(data_map), accept_data=accept_data)
    from search.analysis.confirmation import read_confirmation
    from search.engines.answers import announce_confirmation
    from search.report.confirmation import confirmation_text, opening_text
    from search.report.confirmation_document import confirmation_document
    from search.report.documents import to_json
    from search.report.tables import width_of

    announced = announce_confirmation(
        url,
        name,
        asked,
        again=new,
        timeout_seconds=_seconds(timeout),
        allow=partial(_allow, yes),
        machine=None if enqueue else machine,
        weights=given,
        artifact_root=machine.files.artifact_root,
    )
    work = Work(url, storage, name, "confirm", count, machine, artifact_root, quiet)
    work.do(announced, read_confirmation, opening_text, enqueue)
    found = work.answer(announced, read_confirmation)
    if as_json:
        print(to_json({**confirmation_document(found), **work.runs(announced, timings)}))
    else:
        print(confirmation_text(found, width_of(sys.stdout, os.environ)))


def ablate(
    name: NameArgument,
    trial: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="Of this trial [the last confirmation's choice, else the best]."
        ),
    ] = None,
    technique: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Judge this technique; repeatable [all]."),
    ] = None,
    seeds: Annotated[
        str, typer.Option(metavar="N|3,5,10", help="Seeds, or the looks at more and more.")
    ] = "3,5,10",
    retune: Annotated[
        str, typer.Option(metavar="N", help="Runs that find each learning rate.")
    ] = "5",
    no_retune: Annotated[
        bool, typer.Option("--no-retune", help="Keep the learning rate of the trial.")
    ] = False,
    new: NewOption = False,
    enqueue: EnqueueOption = False,
    yes: YesOption = False,
    timeout: TimeoutOption = None,
    workers: WorkersOption = "1",
    threads: ThreadsOption = "auto",
    device: DeviceOption = "auto",
    data_root: DataRootOption = None,
    data_map: DataMapOption = None,
    accept_data: AcceptDataOption = False,
    artifact_root: ArtifactRootOption = None,
    as_json: JsonOption = False,
    timings: TimingsOption = False,
    storage: StorageOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Say what each technique is worth, by retraining without it, or with it."""
    set_output(quiet, verbose, debug)
    asked = _asked_to_ablate(trial, technique, seeds, retune, no_retune)
    url = storage_url(storage)
    count = read_count("--workers", workers)
    machine = machine_of(threads, device, data_root, url, artifact_root)
    machine = replace(machine, data_map=parse_data_map(data_map), accept_data=accept_data)
    from search.analysis.ablation import read_ablation
    from search.engines.answers import announce_ablation
    from search.report.ablation import ablation_document, ablation_opening, ablation_text
    from search.report.documents import to_json
    from search.report.tables import width_of

    announced = announce_ablation(
        url,
        name,
        asked,
        again=new,
        timeout_seconds=_seconds(timeout),
        allow=partial(_allow, yes),
        machine=None if enqueue else machine,
    )
    work = Work(url, storage, name, "ablate", count, machine, artifact_root, quiet)
    work.do(announced, read_ablation, ablation_opening, enqueue)
    found = work.answer(announced, read_ablation)
    if as_json:
        print(to_json({**ablation_document(found), **work.runs(announced, timings)}))
    else:
        print(ablation_text(found, width_of(sys.stdout, os.environ)))


def reproduce(
    name: NameArgument,
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="The trial's number.")],
    seeds: Annotated[
        str, typer.Option(metavar="N", help="Fresh seeds, too: how far they move it.")
    ] = "0",
    new: NewOption = False,
    enqueue: EnqueueOption = False,
    yes: YesOption = False,
    timeout: TimeoutOption = None,
    workers: WorkersOption = "1",
    threads: ThreadsOption = "auto",
    device: DeviceOption = "auto",
    data_root: DataRootOption = None,
    data_map: DataMapOption = None,
    accept_data: AcceptDataOption = False,
    artifact_root: ArtifactRootOption = None,
    as_json: JsonOption = False,
    timings: TimingsOption = False,
    storage: StorageOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Train a recorded trial again, and judge what comes out; exit code 1 where it is different."""
    set_output(quiet, verbose, debug)
    from search.studies.followups.confirming import MOST_SEEDS
    from search.studies.followups.reproducing import AskedToReproduce

    asked = AskedToReproduce(
        read_whole("NUMBER", number, 0, 10**9), read_whole("--seeds", seeds, 0, MOST_SEEDS)
    )
    url = storage_url(storage)
    count = read_count("--workers", workers)
    machine = machine_of(threads, device, data_root, url, artifact_root)
    machine = replace(machine, data_map=parse_data_map(data_map), accept_data=accept_data)
    from search.analysis.reproduced import read_reproduced
    from search.engines.answers import announce_reproduction
    from search.report.documents import to_json
    from search.report.reproduced import (
        reproduced_document,
        reproduced_opening,
        reproduced_text,
    )
    from search.report.tables import width_of

    announced = announce_reproduction(
        url,
        name,
        asked,
        again=new,
        timeout_seconds=_seconds(timeout),
        allow=partial(_allow, yes),
        machine=None if enqueue else machine,
    )
    work = Work(url, storage, name, "reproduce", count, machine, artifact_root, quiet)
    work.do(announced, read_reproduced, reproduced_opening, enqueue)
    found = work.answer(announced, read_reproduced)
    if as_json:
        print(to_json({**reproduced_document(found), **work.runs(announced, timings)}))
    else:
        print(reproduced_text(found, width_of(sys.stdout, os.environ)))
    if found.is_different:
        raise typer.Exit(1)


Answer = TypeVar("Answer")


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

    def do(
        self,
        announced: "Announced",
        read: "Callable[[Database, StoredStudy], Answer]",
        opening: Callable[[Answer, int, str | None], str],
        enqueue: bool,
    ) -> None:
        """Says what it takes, and trains what is left of it."""
        from search.engines.answers import work_on
        from search.engines.launch import Team
        from search.engines.processes import hire
        from search.engines.signals import Stopped
        from search.spec.definition import stored_spec
        from search.spec.durations import duration
        from storage.hosts import this_host
        from storage.urls import parse_url, shown_url

        stored = announced.stored
        if stored.state == "ended":
            return
        time = (
            None if announced.seconds is None else duration(announced.seconds / (self.workers or 1))
        )
        before = self.answer(announced, read)
        say(opening(before, stored_spec(stored).training.epochs, time))
        at = "" if self.storage is None else f" --storage {shown_url(parse_url(self.storage))}"
        if enqueue:
            say(f"it waits for workers: hypersearch worker --study {self.name}{at}")
            return
        say("Ctrl-C, and the same command goes on.")
        root = self.artifact_root
        team = Team(self.workers, partial(hire, url=self.url, artifact_root=root, quiet=True))
        try:
            with progress_shown(self.quiet) as tell:
                work_on(self.url, stored, self.machine, host=this_host(), tell=tell, team=team)
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


def _asked(
    top: str | None,
    trials: list[str] | None,
    baseline: str | None,
    seeds: str,
    no_test: bool,
) -> "AskedToConfirm":
    from search.studies.followups.confirming import FEWEST_SEEDS, MOST_SEEDS, AskedToConfirm

    if baseline is not None and baseline not in ("first", "neutral", "pretrained", "none"):
        named = "--baseline (first, neutral, pretrained, none or a trial's number)"
        baseline = str(read_whole(named, baseline, 0, 10**9))
    return AskedToConfirm(
        None if top is None else read_whole("--top", top, 1, 1000),
        tuple(sorted({read_whole("--trial", each, 0, 10**9) for each in trials or ()})),
        baseline,
        read_whole("--seeds", seeds, FEWEST_SEEDS, MOST_SEEDS),
        not no_test,
    )


def _asked_to_ablate(
    trial: str | None,
    techniques: list[str] | None,
    seeds: str,
    retune: str,
    no_retune: bool,
) -> "AskedToAblate":
    from search.studies.followups.ablating import MOST_RETUNE, AskedToAblate
    from search.studies.followups.confirming import FEWEST_SEEDS, MOST_SEEDS

    looks = tuple(
        read_whole("--seeds", each.strip(), FEWEST_SEEDS, MOST_SEEDS) for each in seeds.split(",")
    )
    if list(looks) != sorted(set(looks)):
        raise CommandLineError(f"--seeds {seeds}: write the looks in rising order, as 3,5,10")
    return AskedToAblate(
        None if trial is None else read_whole("--trial", trial, 0, 10**9),
        tuple(sorted(set(techniques or ()))),
        looks,
        0 if no_retune else read_whole("--retune", retune, 2, MOST_RETUNE),
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
