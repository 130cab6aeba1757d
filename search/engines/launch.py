"""Studies worked on by this process or by several of this machine."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from typing import Protocol

from optuna import logging as optuna_logging
from optuna.storages import RDBStorage

from objectives.errors import ProcessSpent
from search.engines.following import Trainings, watch_study
from search.machine.division import Share
from search.machine.division_file import divide
from search.machine.this_machine import Machine
from search.spec.definition import stored_spec
from search.spec.request import Request, study_name
from search.spec.study_spec import StudySpec
from search.studies.joining import JoinedStudy, find_stored, has_work, join
from search.studies.this_worker import this_worker
from search.worker.events import (
    Decoding,
    FollowUpTraining,
    Said,
    StudyLeft,
    StudyOpened,
    Tell,
    nobody,
)
from search.worker.loop import Choose, work, workplace
from search.worker.objective import Objective, build_objective
from search.worker.preparation import prepare_data
from storage.artifacts import open_artifact_store
from storage.engine import Database, check_place, open_for_work
from storage.errors import OtherData, StudyDeleted, StudyNotFound
from storage.hosts import Host
from storage.records import read_incumbent, read_study, read_trials
from storage.studies import StoredStudy, find_study, first_failure, read_workable

log = logging.getLogger(__name__)


class WorkFailed(Exception):
    """The work itself failed."""

    @classmethod
    def trials(cls, name: str, failed: int, reason: str | None) -> "WorkFailed":
        """The study ended because trials failed."""
        return cls(
            f"study {name!r} ended after {failed} failed trials; the first:"
            f" {reason or 'no reason recorded'}; mend that and run it under another name with"
            " --study"
        )

    @classmethod
    def follow_up(cls, name: str, reason: str | None) -> "WorkFailed":
        """A training of a follow-up failed as often as it was given out."""
        return cls(
            f"study {name!r} ended, as a training of it failed again and again; the first:"
            f" {reason or 'no reason recorded'}; mend that and ask anew, with --new"
        )

    @classmethod
    def workers(cls, reason: str) -> "WorkFailed":
        """The worker processes cannot work."""
        return cls(f"the worker processes have ended with work left to do: {reason}")


class Hired(Protocol):
    """Workers that others run: processes of this machine, or of a cluster."""

    @property
    def last_words(self) -> str:
        """Why none is left."""

    def working(self, *studies: str) -> AbstractContextManager[None]:
        """Inside, they work on these studies."""

    def is_working(self) -> bool:
        """Whether any is alive, or is to be."""


@dataclass(frozen=True)
class Team:
    """Worker processes, as they are asked for; one works in this process, and in another where this
    one is spent.
    """

    workers: int | None  # None: as many as train best
    hire: Callable[[int, Machine], Hired]


@dataclass(frozen=True)
class Away:
    """Workers on other machines: what this one has, or trains best with, is none of theirs."""

    # Before anything is created; raises where nobody can be hired.
    get_ready: Callable[[], None]
    crew: Hired


@dataclass(frozen=True)
class WorkDone:
    """What a run came to."""

    joined: JoinedStudy
    had_ended: bool  # there was nothing left to do


def run_study(
    storage_url: str,
    request: Request,
    machine: Machine,
    *,
    host: Host,
    tell: Tell = nobody,
    team: Team | Away | None = None,
    on_joined: Callable[[JoinedStudy], None] = lambda joined: None,
) -> WorkDone:
    """Creates or joins the study and works on it until it ends, and tells what happens.

    With a `team` of more than one, or one that is away, its processes work, and this one looks on;
    so it does with one of its processes when it can itself train no more.

    Raises:
        SpecError, ForeignStudy, StorageURLError, DataError, OtherData, DeviceError: bad input.
        StorageUnavailable, DataUnavailable: out of reach.
        WorkFailed: the study ended because its trials failed, or no worker process stays alive.
        StudyDeleted: somebody deleted it.
        ProcessSpent: this process can train no more, and there is no team.
    """
    optuna_logging.set_verbosity(optuna_logging.WARNING)
    there = find_stored(storage_url, study_name(request))
    spec = request.spec(stored=there is not None)
    is_away = isinstance(team, Away)
    if not is_away:
        _check_machine(machine)
    check_place(storage_url)
    facts = None
    # What cannot be trained is refused before anything is created, or changed.
    if there is None or has_work(there, request):
        planned = spec if there is None else stored_spec(there)
        if not is_away:
            _check_precision(planned, machine)
        facts = prepare_data(planned, machine, tell, there)
        if isinstance(team, Away):
            team.get_ready()
    database, rdb = open_for_work(storage_url)
    with database:
        joined = join(database, rdb, request)
        on_joined(joined)
        had_ended = joined.stored.state == "ended"
        crew: Hired | None = None
        if isinstance(team, Away):
            crew = None if had_ended else team.crew
        elif team is not None and team.workers != 1 and not had_ended:
            share = share_of(machine, team.workers, [joined], tell)
            machine = machine.shared(share)
            crew = team.hire(share.workers, machine) if share.workers > 1 else None
        tell(_as_it_stands(database, joined))
        if crew is None:
            try:
                only = _only(database, joined)
                _work_alone(database, rdb, only, machine, host, tell, several=False)
            except ProcessSpent as spent:
                if not isinstance(team, Team):
                    raise
                crew = team.hire(1, machine.after(spent))
        if crew is not None:
            with crew.working(joined.stored.name):
                for event in watch_study(database, joined.stored, crew.is_working):
                    tell(event)
        stored = find_study(database, joined.stored.name)
        if stored.end_reason == "failures":
            failed, first = (
                read_study(database, stored).failed,
                first_failure(database, stored.study_id),
            )
            if stored.follow_up is not None:
                raise WorkFailed.follow_up(stored.name, first)
            raise WorkFailed.trials(stored.name, failed, first)
        if stored.state != "ended" and crew is not None:
            before = None if there is None else there.data_fingerprint
            if facts is not None and stored.data_fingerprint not in (
                None,
                before,
                facts.fingerprint,
            ):
                raise OtherData(
                    stored.name,
                    stored.data_fingerprint,
                    joined.spec.data.dataset,
                    facts.fingerprint,
                )
            raise WorkFailed.workers(crew.last_words)
    return WorkDone(JoinedStudy(stored, joined.spec, joined.notices), had_ended)


def serve_studies(
    storage_url: str,
    machine: Machine,
    *,
    names: Sequence[str],
    forever: bool,
    host: Host,
    tell: Tell = nobody,
) -> None:
    """Works on every open study, or on those of `names`, until nothing is left; `forever` waits for
    new ones.

    Raises:
        StudyNotFound, ForeignStudy: of the names; StorageURLError: bad input.
        StorageUnavailable: out of reach.
        DataError, DataUnavailable, OtherData, DeviceError, SpecError: no study could be served
            here, this is why for the last one.
        ProcessSpent: this process can train no more.
    """
    optuna_logging.set_verbosity(optuna_logging.WARNING)
    _check_machine(machine)
    database, rdb = open_for_work(storage_url, create=not names)
    with database:
        for name in names:
            find_study(database, name)
        studies = _open(database, names, forever)
        _work_alone(database, rdb, studies, machine, host, tell, several=True, forever=forever)


def check_service(storage_url: str, *, names: Sequence[str]) -> None:
    """Whether the studies can be served from elsewhere.

    Raises:
        StudyNotFound, ForeignStudy: of the names; StorageURLError: bad input.
        StorageUnavailable: out of reach.
    """
    database, _ = open_for_work(storage_url, create=not names)
    with database:
        for name in names:
            find_study(database, name)


def share_for_service(
    storage_url: str,
    machine: Machine,
    workers: int | None,
    *,
    names: Sequence[str],
    forever: bool,
    tell: Tell = nobody,
) -> Share:
    """With how many workers and threads to serve_studies; measured if a network is, or may yet be,
    trained.

    What no worker could work with is refused here, once.

    Raises:
        StudyNotFound, ForeignStudy: of the names; StorageURLError, DeviceError, ArtifactRootError:
            bad input.
        StorageUnavailable: out of reach.
    """
    _check_machine(machine)
    database, _ = open_for_work(storage_url, create=not names)
    with database:
        for name in names:
            find_study(database, name)
        return share_of(
            machine, workers, None if forever else _open(database, names, forever)(), tell
        )


def share_of(
    machine: Machine, workers: int | None, studies: Sequence[JoinedStudy] | None, tell: Tell
) -> Share:
    """How many workers with how many threads each work on these studies, or on any that may come
    (`None`).
    """
    return divide(
        workers,
        machine.threads,
        device=machine.device,
        folder=machine.division_root,
        say=lambda line: tell(Said(line)),
        trains=studies is None
        or any(joined.spec.data.dataset != "synthetic" for joined in studies),
    )


def _check_machine(machine: Machine) -> None:
    """Raises DeviceError, ArtifactRootError."""
    if machine.device not in ("auto", "cpu"):  # what every machine has
        from objectives.device import pick_device

        pick_device(machine.device)
    open_artifact_store(machine.files.artifact_root)


def _check_precision(spec: StudySpec, machine: Machine) -> None:
    """Raises DeviceError where this machine's device does not have it; float32, which all have,
    loads no PyTorch.
    """
    if spec.training.precision == "float32" or spec.data.dataset == "synthetic":
        return
    from objectives.device import check_precision, pick_device

    check_precision(spec.training.precision, pick_device(machine.device, machine.process))


def _work_alone(
    database: Database,
    rdb: RDBStorage,
    choose: Choose,
    machine: Machine,
    host: Host,
    tell: Tell,
    *,
    several: bool,
    forever: bool = False,
) -> None:
    def show(done: int, total: int) -> None:
        # One study was prepared before, and its progress is what the terminal shows.
        if several:
            tell(Decoding(done, total))

    def say(line: str) -> None:
        tell(Said(line))

    def build(joined: JoinedStudy) -> Objective:
        return build_objective(joined.spec, machine, show, say, joined.stored)

    refused: Exception | None = None
    served = False
    with (
        workplace(
            database,
            rdb,
            this_worker(host, "-", 0),
            machine.files,
            checkpoint_seconds=machine.checkpoint_seconds,
        ) as place,
        closing(
            work(place, rdb, choose, build, forever=forever, accept_data=machine.accept_data)
        ) as events,
    ):
        try:
            for event in events:
                if isinstance(event, StudyLeft) and not several:
                    raise event.error
                tell(event)
                if isinstance(event, StudyLeft):
                    refused = event.error
                else:
                    served = True
        except ProcessSpent as spent:
            log.warning("%s; its trial was handed back: another process goes on", spent)
            raise
    if refused is not None and not served:
        raise refused
    if several and not served:
        tell(Said("no study is open: there is nothing to do"))


def _only(database: Database, joined: JoinedStudy) -> Choose:
    def choose() -> list[JoinedStudy]:
        try:
            stored = find_study(database, joined.stored.name)
        except StudyNotFound:
            stored = None
        if stored is None or stored.uid != joined.stored.uid:
            raise StudyDeleted(joined.stored.name)
        return [JoinedStudy(stored, stored_spec(stored))]

    return choose


def _open(database: Database, names: Sequence[str], forever: bool) -> Choose:
    """Those of the highest priority first, of these the one that the fewest workers are on."""

    def choose() -> list[JoinedStudy]:
        found = [
            (stored, held)
            for stored, held in read_workable(database)
            # Whoever waits for a paused study was asked to
            if (not names or stored.name in names or _parent_of(stored) in names)
            and (stored.state != "paused" or names or forever)
        ]
        found.sort(key=lambda pair: (-pair[0].priority, pair[1], pair[0].study_id))
        return [JoinedStudy(stored, stored_spec(stored)) for stored, _ in found]

    return choose


def _parent_of(stored: StoredStudy) -> str | None:
    return None if stored.follow_up is None else stored.follow_up.parent_name


def _as_it_stands(database: Database, joined: JoinedStudy) -> StudyOpened:
    record = read_study(database, joined.stored)
    best = read_incumbent(database, joined.stored.study_id, joined.spec.direction)
    return StudyOpened(
        record.finished,
        joined.spec.planned_trials,
        None if best is None else best.value,
        joined.spec.direction,
        _trained(database, joined.stored),
        joined.stored.follow_up,
    )


def _trained(
    database: Database, stored: StoredStudy
) -> tuple[tuple[FollowUpTraining, float | None], ...]:
    if stored.follow_up is None:
        return ()
    ended = [
        each
        for each in read_trials(database, stored.study_id)
        if each.state in ("complete", "pruned")
    ]
    of = Trainings(database, stored).of({each.number for each in ended})
    return tuple((of[each.number], each.value) for each in ended)
