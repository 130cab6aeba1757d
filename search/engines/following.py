"""What others do with studies: read from the database, the only meeting place, as events or look
after look.
"""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

from search.analysis.comparison import parameters
from search.analysis.status import Status, list_studies, study_status
from search.worker.events import Event, Running, TrialFinished
from storage.activity import read_running
from storage.database_errors import reason
from storage.engine import Database
from storage.errors import StorageUnavailable, StudyDeleted, StudyNotFound
from storage.records import StudyRecord, read_ended, read_study, read_trials
from storage.studies import StoredStudy

LOOK_SECONDS = 1.0
# What a person watches changes by the epoch, so nobody looks again sooner.
LOOK_AGAIN_SECONDS = 2.0
# Looking takes at most this share of the time: a look at 10,000 trials takes seconds.
LOOKING_SHARE = 0.1
# One look has so much patience: a server that has restarted is found at the second try.
PATIENCE_SECONDS = 0.5

Found = TypeVar("Found")


def watch_study(
    database: Database,
    stored: StoredStudy,
    go_on: Callable[[], bool],
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[Event]:
    """Events of trials that end from now on, and of those that run, while `go_on()`."""
    seen = read_ended(database, stored.study_id)
    last = False
    while not last:
        last = not go_on()
        record = read_study(database, stored)
        if record.finished + record.failed > len(seen):
            new = read_ended(database, stored.study_id) - seen
            seen |= new
            for trial in read_trials(database, stored.study_id, new):
                # No trial that has ended goes on.
                if trial.state == "running":
                    continue
                yield TrialFinished(
                    stored.name,
                    trial.number,
                    trial.attempts,
                    trial.state,
                    trial.value,
                    len(trial.epochs),
                    parameters(trial),
                    trial.reason,
                )
        yield Running(tuple(read_running(database, stored.study_id)))
        if not last:
            sleep(LOOK_SECONDS)


@dataclass(frozen=True)
class Away:
    """The database does not answer now, and why."""

    reason: str


def look_again(
    look: Callable[[], Found],
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Generator[Found | Away]:
    """`look()` over and over, for most of the time not looking; Away where the database does not
    answer.

    Only the first look raises StorageUnavailable: later ones wait for the database as long as
    somebody watches.
    """
    seen = False
    while True:
        started = monotonic()
        try:
            found: Found | Away = look()
            seen = True
        except StorageUnavailable as error:
            if not seen:
                raise
            found = Away(reason(error.__cause__ or error))
        took = monotonic() - started
        yield found
        sleep(max(LOOK_AGAIN_SECONDS, took * (1 / LOOKING_SHARE - 1)))


def watch_studies(database: Database) -> Generator[list[StudyRecord] | Away]:
    """Every study that has a spec, look after look. Raises StorageUnavailable."""
    return look_again(lambda: list_studies(database))


def watch_status(database: Database, name: str) -> Generator[Status | Away]:
    """How far a study is, look after look, until it has ended and nobody works on it.

    Raises:
        StudyNotFound, ForeignStudy, StorageUnavailable: at the first look.
        StudyDeleted: it is gone.
    """
    uid = None
    try:
        for found in look_again(lambda: study_status(database, name)):
            if isinstance(found, Status):
                # Another study was made under its name.
                if uid not in (None, found.record.stored.uid):
                    raise StudyDeleted(name)
                uid = found.record.stored.uid
            yield found
            if (
                isinstance(found, Status)
                and found.record.stored.state == "ended"
                and not found.running
            ):
                return
    except StudyNotFound:
        if uid is None:
            raise
        raise StudyDeleted(name) from None
