"""Pausing, resuming, stopping, extending and deleting studies, from anywhere: workers obey within
one epoch.
"""

import shutil

from search.machine.this_machine import Files
from search.spec.request import Request
from search.studies.followups.refused import FollowUpRefused
from search.studies.joining import JoinedStudy, join_stored
from search.studies.sweep import own_checkpoints
from search.studies.this_worker import this_worker
from storage.artifact_names import read_artifact_ids
from storage.artifacts import open_artifact_store
from storage.engine import Database, open_for_work
from storage.errors import ArtifactRootError, ArtifactsUnavailable
from storage.follow_ups import delete_with_follow_ups, read_follow_ups
from storage.hosts import Host
from storage.leases.taking import TrialLeases
from storage.owners import Owner
from storage.studies import find_study
from storage.study_control import pause_study, resume_study, stop_study


def pause(database: Database, name: str) -> None:
    """No trial is taken any more; workers hand theirs back after the epoch. Raises StudyNotFound,
    StudyEnded.
    """
    pause_study(database, find_study(database, name))


def resume(database: Database, name: str) -> None:
    """A paused study goes on. Raises StudyNotFound, StudyEnded."""
    resume_study(database, find_study(database, name))


def extend(database: Database, name: str, trials: int) -> JoinedStudy:
    """Raises the budget of trials; an ended study goes on, unless its time is used up, say.

    Raises StudyNotFound, SpecError for a lower budget, and FollowUpRefused for a follow-up, whose
    plan says what it takes.
    """
    stored = find_study(database, name)
    if stored.follow_up is not None:
        raise FollowUpRefused.not_extended(name, stored.follow_up.parent_name)
    return join_stored(
        database,
        stored,
        Request(None, {"study": {"trials": trials}}, "--trials"),
    )


def stop(storage_url: str, name: str, host: Host) -> int:
    """Ends the study as it stands; returns how many trials workers still have to leave. Raises
    StudyNotFound.
    """
    database, rdb = open_for_work(storage_url, create=False)
    with database:
        stored = find_study(database, name)
        stop_study(database, stored)
        return TrialLeases(database, rdb, this_worker(host, "-", 0)).settle(stored)


def delete(storage_url: str, name: str, files: Files) -> None:
    """Deletes the study with its trials, those that follow it up, checkpoints, and artifacts that
    nobody else has; workers leave it.

    Raises:
        StudyNotFound, StudyDeleted: it is not there.
        ArtifactRootError, ArtifactsUnavailable: the study is deleted, its artifacts are not.
    """
    database, rdb = open_for_work(storage_url, create=False)
    with database:
        stored = find_study(database, name)
        studies = [stored, *read_follow_ups(database, stored)]
        artifacts = {each for one in studies for each in read_artifact_ids(database, one.study_id)}
        owner = _owner(database, files) if artifacts else None
        checkpoints = own_checkpoints(database, files.checkpoint_root)
        delete_with_follow_ups(database, rdb, stored)
        for each in studies:
            shutil.rmtree(checkpoints / each.uid, ignore_errors=True)
        if isinstance(owner, Owner):
            owner.release(artifacts)
        elif owner is not None:
            raise owner


def _owner(database: Database, files: Files) -> Owner | ArtifactRootError | ArtifactsUnavailable:
    """The database as an owner of its artifacts, or why they are out of reach, which keeps no study
    from its end.
    """
    try:
        return Owner(database, open_artifact_store(files.artifact_root))
    except (ArtifactRootError, ArtifactsUnavailable) as error:
        return error
