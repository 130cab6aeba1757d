"""Follow-ups made and worked on: the trainings behind each answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from optuna import logging as optuna_logging

from search.engines.launch import Team, run_study
from search.machine.this_machine import Machine
from search.spec.definition import stored_spec
from search.spec.follow_up import ConfirmPlan, Kind
from search.spec.request import Request
from search.studies.followups.confirming import (
    Asked,
    first_stage,
    most_trainings,
    plan_confirmation,
)
from search.studies.followups.creating import create_follow_up, next_number
from search.studies.followups.refused import FollowUpRefused
from search.worker.events import Tell, nobody
from storage.engine import Database, open_for_work
from storage.follow_ups import read_follow_ups
from storage.hosts import Host
from storage.records import TrialRecord, read_trials
from storage.studies import StoredStudy, find_study


@dataclass(frozen=True)
class Announced:
    """A follow-up that is about to be worked on, or that has been."""

    stored: StoredStudy
    is_new: bool
    seconds: float | None  # that its trainings take one after another, by those of the parent


def announce_confirmation(
    storage_url: str,
    name: str,
    asked: Asked,
    *,
    again: bool = False,
    timeout_seconds: float | None = None,
    allow: Callable[[int], None] = lambda trainings: None,
) -> Announced:
    """The study's confirmation that was asked for in the same words, or a new one where there is
    none, or where one is wanted `again`.

    `allow` is told how many trainings a new one takes at most, before anything is created, and
    raises where that is too many.

    Raises:
        StudyNotFound, ForeignStudy, FollowUpRefused, StorageURLError: bad input.
        StorageUnavailable: out of reach.
    """
    optuna_logging.set_verbosity(optuna_logging.WARNING)
    database, rdb = open_for_work(storage_url, create=False)
    with database:
        parent = find_parent(database, name)
        trials = read_trials(database, parent.study_id)
        if not again and (there := _same(database, parent, "confirm", asked)) is not None:
            return Announced(there, False, _seconds(there.budget.trials, trials))
        plan = plan_confirmation(parent, trials, asked)
        allow(most_trainings(plan))
        number = next_number(database, parent, "confirm")
        stage = first_stage(plan, stored_spec(parent).seed, number)
        stored = create_follow_up(
            database,
            rdb,
            parent,
            "confirm",
            number,
            plan.to_json(),
            stage,
            most_trainings(plan),
            timeout_seconds,
        )
        return Announced(stored, True, _seconds(most_trainings(plan), trials))


def _seconds(trainings: int, trials: Sequence[TrialRecord]) -> float | None:
    each = [
        sum(epoch.seconds for epoch in trial.epochs)
        for trial in trials
        if trial.state == "complete" and trial.epochs
    ]
    return trainings * median(each) if each else None


def find_parent(database: Database, name: str) -> StoredStudy:
    """The study that is to be followed up. Raises StudyNotFound, ForeignStudy, FollowUpRefused."""
    found = find_study(database, name)
    if found.follow_up is not None:
        raise FollowUpRefused.of_a_follow_up(name, found.follow_up.parent_name)
    return found


def work_on(
    storage_url: str,
    stored: StoredStudy,
    machine: Machine,
    *,
    host: Host,
    tell: Tell = nobody,
    team: Team | None = None,
) -> None:
    """Trains what is left of a follow-up. Raises as `run_study` does."""
    request = Request(None, {"study": {"name": stored.name}}, stored.name)
    run_study(storage_url, request, machine, host=host, tell=tell, team=team)


def _same(database: Database, parent: StoredStudy, kind: Kind, asked: Asked) -> StoredStudy | None:
    wanted = asked.to_document()
    found = [
        each
        for each in read_follow_ups(database, parent)
        if each.follow_up is not None
        and each.follow_up.kind == kind
        and ConfirmPlan.from_json(each.follow_up.plan).asked == wanted
    ]
    return found[-1] if found else None
