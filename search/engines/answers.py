"""Follow-ups made and worked on: the trainings behind each answer."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from optuna import logging as optuna_logging

from search.analysis.confirmation import last_confirmation
from search.analysis.ranking import incumbent
from search.analysis.refitted import read_refitted
from search.engines.launch import run_study
from search.engines.teams import Team
from search.machine.this_machine import Machine
from search.spec.definition import stored_spec
from search.spec.follow_up import Kind, PlannedTraining
from search.spec.request import Request
from search.studies.followups import ablating, confirming, refitting, reproducing
from search.studies.followups.ablating import AskedToAblate
from search.studies.followups.carrying import finished_of, seeds_of, with_fewer_seeds
from search.studies.followups.confirming import AskedToConfirm
from search.studies.followups.creating import create_follow_up, next_number
from search.studies.followups.refitting import AskedToRefit
from search.studies.followups.refused import FollowUpRefused
from search.studies.followups.reproducing import AskedToReproduce
from search.studies.followups.weights import GivenWeights, kept
from search.worker.events import Tell, nobody
from search.worker.preparation import prepare_data
from storage.artifact_names import MODEL_FILE, WEIGHTS_FILE, read_trial_artifacts
from storage.artifacts import id_of
from storage.computing import Computed
from storage.engine import Database, open_database, open_for_work
from storage.follow_ups import read_follow_ups
from storage.hosts import Host
from storage.records import TrialRecord, read_trials
from storage.slots import read_slots
from storage.studies import StoredStudy, find_study


@dataclass(frozen=True)
class Announced:
    """A follow-up that is about to be worked on, or that has been."""

    stored: StoredStudy
    # Its trainings take so long one after another, by those of the parent; those that are taken
    # over from another follow-up, and those that have finished, take none.
    seconds: float | None
    # So many trainings have finished by now.
    finished: int = 0


# A new follow-up's most trainings are told to it; it raises where they are too many.
Allow = Callable[[int], None]


@dataclass(frozen=True)
class Commission:
    """On which terms a study's follow-up is to be there, whatever it asks for."""

    storage_url: str
    # The study that is followed up has this name.
    name: str
    # A new one is made even where one is there that was asked for in the same words.
    again: bool = False
    timeout_seconds: float | None = None
    allow: Allow = lambda trainings: None
    # The machine is to train it, and must have the study's data; None: others train it elsewhere.
    machine: Machine | None = None
    tell: Tell = nobody
    # What it needs beside the study's data is kept there.
    artifact_root: str = ""


def announce_confirmation(
    commission: Commission, asked: AskedToConfirm, weights: GivenWeights | None = None
) -> Announced:
    """The study's confirmation that was asked for in the same words, or a new one where there is
    none, or where one is wanted `again`; its pretrained baseline has these `weights`.

    Raises:
        StudyNotFound, ForeignStudy, FollowUpRefused, StorageURLError, DataError, OtherData,
            ArtifactRootError: bad input.
        StorageUnavailable, DataUnavailable, ArtifactsUnavailable: out of reach.
    """
    if weights is not None:
        asked = replace(asked, backbone=weights.backbone, weights=weights.sha256)

    def plan(parent: StoredStudy, trials: Sequence[TrialRecord], number: int) -> Planned:
        made = replace(confirming.plan_confirmation(parent, trials, asked), seeds_of=number)
        files = {}
        if weights is not None:
            files = {WEIGHTS_FILE: weights.checked()}
            made = confirming.with_weights(made, id_of(files[WEIGHTS_FILE]))
        stage = confirming.first_stage(made, stored_spec(parent).seed, number)
        return Planned(made.to_json(), stage, confirming.most_trainings(made), files=files)

    return _announce(commission, "confirm", asked.to_document(), plan)


def announce_ablation(commission: Commission, asked: AskedToAblate) -> Announced:
    """As `announce_confirmation`: of the trial that is asked for, else of the last confirmation's
    choice, else of the best.
    """

    def plan(parent: StoredStudy, trials: Sequence[TrialRecord], number: int) -> Planned:
        made = ablating.plan_ablation(parent, trials, asked)
        stage = ablating.first_stage(made, stored_spec(parent).seed, number)
        return Planned(made.to_json(), stage, ablating.most_trainings(made))

    if asked.trial is None:
        asked = replace(asked, trial=_confirmed(commission.storage_url, commission.name))
    return _announce(commission, "ablate", asked.to_document(), plan)


def announce_reproduction(commission: Commission, asked: AskedToReproduce) -> Announced:
    """As `announce_confirmation`; computed as the recorded trial was, where that can be."""

    def plan(parent: StoredStudy, trials: Sequence[TrialRecord], number: int) -> Planned:
        made = replace(reproducing.plan_reproduction(parent, trials, asked), seeds_of=number)
        stage = reproducing.first_stage(made, stored_spec(parent).seed, number)
        computed = reproducing.computed_as(reproducing.recorded(parent, trials, asked.number))
        return Planned(made.to_json(), stage, len(stage), computed)

    return _announce(commission, "reproduce", asked.to_document(), plan)


def announce_refit(storage_url: str, name: str, trial: int | None = None) -> Announced:
    """As `announce_confirmation`: of that trial's configuration, else of the best one's. One that
    has ended without a network, as it was stopped or failed, is begun again.
    """
    with open_database(storage_url) as database:
        asked = _asked_to_refit(database, find_parent(database, name), trial)

    def plan(parent: StoredStudy, trials: Sequence[TrialRecord], number: int) -> Planned:
        made = refitting.plan_refit(parent, trials, asked)
        stage = refitting.first_stage(made, stored_spec(parent).seed, is_kept=asked.is_kept)
        computed = reproducing.computed_as(reproducing.recorded(parent, trials, asked.number))
        return Planned(made.to_json(), stage, len(stage), computed)

    commission, document = Commission(storage_url, name), asked.to_document()
    found = _announce(commission, "refit", document, plan)
    with open_database(storage_url) as database:
        there = read_refitted(database, found.stored)
    is_lost = there.state == "ended" and not there.is_whole and not there.has_diverged
    if not is_lost:
        return found
    return _announce(replace(commission, again=True), "refit", document, plan)


def _asked_to_refit(database: Database, parent: StoredStudy, trial: int | None) -> AskedToRefit:
    if trial is None:
        trials = read_trials(database, parent.study_id)
        best = incumbent(trials, stored_spec(parent).direction)
        if best is None:
            raise FollowUpRefused.nothing_complete(parent.name)
        trial = best.number
    kept = read_trial_artifacts(database, parent.study_id, trial)
    return AskedToRefit(trial, MODEL_FILE in kept)


@dataclass(frozen=True)
class Planned:
    """A follow-up that is about to be made."""

    plan: str
    first_stage: Sequence[PlannedTraining]
    # It takes so many trainings at most.
    most: int
    computed: Computed | None = None
    # It needs these files beside the study's data: their contents by name.
    files: Mapping[str, bytes] = field(default_factory=dict)


def _announce(
    commission: Commission,
    kind: Kind,
    asked: Mapping[str, object],
    make: Callable[[StoredStudy, Sequence[TrialRecord], int], Planned],
) -> Announced:
    optuna_logging.set_verbosity(optuna_logging.WARNING)
    database, rdb = open_for_work(commission.storage_url, create=False)
    with database:
        parent = find_parent(database, commission.name)
        trials = read_trials(database, parent.study_id)
        if not commission.again and (there := _same(database, parent, kind, asked)) is not None:
            taken = read_slots(database, there.study_id)
            finished = sum(each.state in ("complete", "pruned") for each in taken)
            return Announced(there, _seconds(there.budget.trials - finished, trials), finished)
        number = next_number(database, parent, kind)
        base = None if commission.again else with_fewer_seeds(database, parent, kind, asked)
        planned = make(parent, trials, number if base is None else seeds_of(base))
        carried = None if base is None else finished_of(database, base, parent, planned.first_stage)
        count = 0 if carried is None else len(carried.trial_ids)
        commission.allow(planned.most - count)
        if commission.machine is not None:
            prepare_data(stored_spec(parent), commission.machine, commission.tell, parent)
        with kept(database, commission.artifact_root, planned.files) as artifacts:
            stored = create_follow_up(
                database,
                rdb,
                parent,
                kind,
                number,
                planned.plan,
                planned.first_stage,
                planned.most,
                commission.timeout_seconds,
                planned.computed,
                carried,
                artifacts,
            )
        return Announced(stored, _seconds(planned.most - count, trials), count)


def _confirmed(storage_url: str, name: str) -> int | None:
    """The choice of the study's last confirmation that has made one."""
    with open_database(storage_url) as database:
        found = last_confirmation(database, find_parent(database, name))
    chosen = None if found is None else found.chosen
    return None if chosen is None else chosen.candidate.trial


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


def _same(
    database: Database, parent: StoredStudy, kind: Kind, asked: Mapping[str, object]
) -> StoredStudy | None:
    found = [
        each
        for each in read_follow_ups(database, parent)
        if each.follow_up is not None
        and each.follow_up.kind == kind
        and json.loads(each.follow_up.plan)["asked"] == asked
    ]
    return found[-1] if found else None
