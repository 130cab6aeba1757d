"""Follow-ups made and worked on: the trainings behind each answer."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from optuna import logging as optuna_logging

from search.analysis.confirmation import last_confirmation
from search.analysis.ranking import incumbent
from search.analysis.refitted import read_refitted
from search.engines.launch import Team, run_study
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
    # That its trainings take one after another, by those of the parent; those that are taken over
    # from another follow-up, and those that have finished, take none.
    seconds: float | None
    finished: int = 0  # trainings, by now


Allow = Callable[[int], None]  # told how many trainings a new one takes at most; raises if too many


def announce_confirmation(
    storage_url: str,
    name: str,
    asked: AskedToConfirm,
    *,
    again: bool = False,
    timeout_seconds: float | None = None,
    allow: Allow = lambda trainings: None,
    machine: Machine | None = None,
    tell: Tell = nobody,
    weights: GivenWeights | None = None,
    artifact_root: str = "",
) -> Announced:
    """The study's confirmation that was asked for in the same words, or a new one where there is
    none, or where one is wanted `again`. Where it is to be trained on this `machine`, the study's
    data must be there. The `weights` of a pretrained baseline are kept at the `artifact_root`.

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
        most = confirming.most_trainings(made)
        return Planned(made.to_json(), stage, most, files=files, artifact_root=artifact_root)

    return _announce(
        storage_url,
        name,
        "confirm",
        asked.to_document(),
        plan,
        again,
        timeout_seconds,
        allow,
        machine,
        tell,
    )


def announce_ablation(
    storage_url: str,
    name: str,
    asked: AskedToAblate,
    *,
    again: bool = False,
    timeout_seconds: float | None = None,
    allow: Allow = lambda trainings: None,
    machine: Machine | None = None,
    tell: Tell = nobody,
) -> Announced:
    """As `announce_confirmation`: of the trial that is asked for, else of the last confirmation's
    choice, else of the best.
    """

    def plan(parent: StoredStudy, trials: Sequence[TrialRecord], number: int) -> Planned:
        made = ablating.plan_ablation(parent, trials, asked)
        stage = ablating.first_stage(made, stored_spec(parent).seed, number)
        return Planned(made.to_json(), stage, ablating.most_trainings(made))

    if asked.trial is None:
        asked = replace(asked, trial=_confirmed(storage_url, name))
    return _announce(
        storage_url,
        name,
        "ablate",
        asked.to_document(),
        plan,
        again,
        timeout_seconds,
        allow,
        machine,
        tell,
    )


def announce_reproduction(
    storage_url: str,
    name: str,
    asked: AskedToReproduce,
    *,
    again: bool = False,
    timeout_seconds: float | None = None,
    allow: Allow = lambda trainings: None,
    machine: Machine | None = None,
    tell: Tell = nobody,
) -> Announced:
    """As `announce_confirmation`; computed as the recorded trial was, where that can be."""

    def plan(parent: StoredStudy, trials: Sequence[TrialRecord], number: int) -> Planned:
        made = replace(reproducing.plan_reproduction(parent, trials, asked), seeds_of=number)
        stage = reproducing.first_stage(made, stored_spec(parent).seed, number)
        computed = reproducing.computed_as(reproducing.recorded(parent, trials, asked.number))
        return Planned(made.to_json(), stage, len(stage), computed)

    return _announce(
        storage_url,
        name,
        "reproduce",
        asked.to_document(),
        plan,
        again,
        timeout_seconds,
        allow,
        machine,
        tell,
    )


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

    def announce(again: bool) -> Announced:
        document = asked.to_document()
        return _announce(
            storage_url,
            name,
            "refit",
            document,
            plan,
            again,
            timeout_seconds=None,
            allow=lambda trainings: None,
            machine=None,
            tell=nobody,
        )

    found = announce(again=False)
    with open_database(storage_url) as database:
        there = read_refitted(database, found.stored)
    is_lost = there.state == "ended" and not there.is_whole and not there.has_diverged
    return announce(again=True) if is_lost else found


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
    most: int  # trainings
    computed: Computed | None = None
    # What it needs beside the study's data, by name, and where that is kept.
    files: Mapping[str, bytes] = field(default_factory=dict)
    artifact_root: str = ""


def _announce(
    storage_url: str,
    name: str,
    kind: Kind,
    asked: Mapping[str, object],
    make: Callable[[StoredStudy, Sequence[TrialRecord], int], Planned],
    again: bool,
    timeout_seconds: float | None,
    allow: Allow,
    machine: Machine | None,
    tell: Tell,
) -> Announced:
    optuna_logging.set_verbosity(optuna_logging.WARNING)
    database, rdb = open_for_work(storage_url, create=False)
    with database:
        parent = find_parent(database, name)
        trials = read_trials(database, parent.study_id)
        if not again and (there := _same(database, parent, kind, asked)) is not None:
            taken = read_slots(database, there.study_id)
            finished = sum(each.state in ("complete", "pruned") for each in taken)
            return Announced(there, _seconds(there.budget.trials - finished, trials), finished)
        number = next_number(database, parent, kind)
        base = None if again else with_fewer_seeds(database, parent, kind, asked)
        planned = make(parent, trials, number if base is None else seeds_of(base))
        carried = None if base is None else finished_of(database, base, parent, planned.first_stage)
        count = 0 if carried is None else len(carried.trial_ids)
        allow(planned.most - count)
        if machine is not None:
            prepare_data(stored_spec(parent), machine, tell, parent)
        with kept(database, planned.artifact_root, planned.files) as artifacts:
            stored = create_follow_up(
                database,
                rdb,
                parent,
                kind,
                number,
                planned.plan,
                planned.first_stage,
                planned.most,
                timeout_seconds,
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
