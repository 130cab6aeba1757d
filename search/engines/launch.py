"""One study worked on until it ends: by this process, by several of this machine, or elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optuna import logging as optuna_logging

from objectives.errors import ProcessSpent
from search.engines.alone import check_machine, work_alone
from search.engines.following import Trainings, watch_study
from search.engines.teams import Away, Hired, Team, WorkFailed, share_of
from search.machine.this_machine import Machine
from search.spec.definition import stored_spec
from search.spec.request import Request, study_name
from search.spec.study_spec import StudySpec
from search.studies.joining import JoinedStudy, find_stored, has_work, join
from search.worker.events import FollowUpTraining, StudyOpened, Tell, nobody
from search.worker.loop import Choose
from search.worker.preparation import prepare_data
from storage.engine import Database, check_place, open_for_work
from storage.errors import OtherData, StudyDeleted, StudyNotFound
from storage.hosts import Host
from storage.records import read_incumbent, read_study, read_trials
from storage.studies import StoredStudy, find_study, first_failure

if TYPE_CHECKING:
    from objectives.data.source import DataFacts


@dataclass(frozen=True)
class WorkDone:
    """What a run came to."""

    joined: JoinedStudy
    # There was nothing left to do.
    had_ended: bool


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
    facts = _get_ready(storage_url, request, there, machine, tell, team)
    database, rdb = open_for_work(storage_url)
    with database:
        joined = join(database, rdb, request)
        on_joined(joined)
        had_ended = joined.stored.state == "ended"
        crew, machine = _hire(team, joined, machine, tell)
        tell(_as_it_stands(database, joined))
        if crew is None:
            try:
                only = _only(database, joined)
                work_alone(database, rdb, only, machine, host, tell, several=False)
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
            raise _failed(database, stored)
        if stored.state != "ended" and crew is not None:
            before = None if there is None else there.data_fingerprint
            raise _left_undone(stored, joined.spec, before, facts, crew)
    return WorkDone(JoinedStudy(stored, joined.spec, joined.notices), had_ended)


def _get_ready(
    storage_url: str,
    request: Request,
    there: StoredStudy | None,
    machine: Machine,
    tell: Tell,
    team: Team | Away | None,
) -> "DataFacts | None":
    """Refuses what cannot be trained before anything is created, or changed; returns what the data
    is known by, where it was looked at.
    """
    spec = request.spec(stored=there is not None)
    is_away = isinstance(team, Away)
    if not is_away:
        check_machine(machine)
    check_place(storage_url)
    if there is not None and not has_work(there, request):
        return None
    planned = spec if there is None else stored_spec(there)
    if not is_away:
        _check_precision(planned, machine)
    facts = prepare_data(planned, machine, tell, there)
    if isinstance(team, Away):
        team.get_ready()
    return facts


def _hire(
    team: Team | Away | None, joined: JoinedStudy, machine: Machine, tell: Tell
) -> tuple[Hired | None, Machine]:
    """Who works on the study, `None` for this process, and how the machine is shared for that."""
    if team is None or joined.stored.state == "ended":
        return None, machine
    if isinstance(team, Away):
        return team.crew, machine
    if team.workers == 1:
        return None, machine
    share = share_of(machine, team.workers, [joined], tell)
    machine = machine.shared(share)
    return team.hire(share.workers, machine) if share.workers > 1 else None, machine


def _failed(database: Database, stored: StoredStudy) -> WorkFailed:
    first = first_failure(database, stored.study_id)
    if stored.follow_up is not None:
        return WorkFailed.follow_up(stored.name, first)
    return WorkFailed.trials(stored.name, read_study(database, stored).failed, first)


def _left_undone(
    stored: StoredStudy,
    spec: StudySpec,
    before: str | None,
    facts: "DataFacts | None",
    crew: Hired,
) -> OtherData | WorkFailed:
    """Why no worker is left though the study has not ended: somebody has trained it on other data
    than that `before` and than what is here, or the workers say why.
    """
    trained_on = stored.data_fingerprint
    if facts is not None and trained_on not in (None, before, facts.fingerprint):
        return OtherData(stored.name, trained_on, spec.data.dataset, facts.fingerprint)
    return WorkFailed.workers(crew.last_words)


def _check_precision(spec: StudySpec, machine: Machine) -> None:
    """Raises DeviceError where this machine's device does not have it; float32, which all have,
    loads no PyTorch.
    """
    if spec.training.precision == "float32" or spec.data.dataset == "synthetic":
        return
    from objectives.device import check_precision, pick_device

    check_precision(spec.training.precision, pick_device(machine.device, machine.process))


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
