"""What others do with studies: read from the database, the only meeting place, as events or look
after look.
"""

import time
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from search.analysis.comparison import parameters
from search.analysis.status import Status, list_studies, study_status
from search.spec.definition import stored_spec
from search.spec.follow_up import PlannedTraining
from search.worker.events import Event, FollowUpTraining, Running, TrialFinished
from storage.activity import read_running
from storage.database_errors import reason
from storage.engine import Database
from storage.errors import StorageUnavailable, StudyDeleted, StudyNotFound
from storage.records import StudyRecord, read_ended, read_study, read_trials
from storage.slots import read_slot_contents
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
    trainings = Trainings(database, stored)
    last = False
    while not last:
        last = not go_on()
        record = read_study(database, stored)
        if record.finished + record.failed > len(seen):
            new = read_ended(database, stored.study_id) - seen
            seen |= new
            of = trainings.of(new)
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
                    of.get(trial.number),
                )
        running = tuple(read_running(database, stored.study_id))
        of = trainings.of({each.number for each in running})
        yield Running(running, of, record.stored.budget.trials)
        if not last:
            sleep(LOOK_SECONDS)


class Trainings:
    """What the trials of a study are for, where it is a follow-up.

    >>> Trainings(database, stored).of({0, 1})      # doctest: +SKIP
    """

    def __init__(self, database: Database, stored: StoredStudy) -> None:
        self._database = database
        self._stored = stored
        self._metric = stored_spec(stored).metric
        self._known: dict[int, FollowUpTraining] = {}

    def of(self, numbers: Collection[int]) -> Mapping[int, FollowUpTraining]:
        """Those of these trials, by number; none of a search's."""
        follow_up = self._stored.follow_up
        if follow_up is None:
            return {}
        if not self._known.keys() >= set(numbers):
            contents = read_slot_contents(self._database, self._stored.study_id)
            self._known = {
                number: FollowUpTraining(
                    follow_up, self._metric, PlannedTraining.from_json(content)
                )
                for number, content in contents.items()
            }
        return {number: self._known[number] for number in numbers if number in self._known}


@dataclass(frozen=True)
class Unanswered:
    """The database does not answer now, and why."""

    reason: str


def look_again(
    look: Callable[[], Found],
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Generator[Found | Unanswered]:
    """`look()` over and over, for most of the time not looking; Unanswered where the database is
    silent.

    Only the first look raises StorageUnavailable: later ones wait for the database as long as
    somebody watches.
    """
    seen = False
    while True:
        started = monotonic()
        try:
            found: Found | Unanswered = look()
            seen = True
        except StorageUnavailable as error:
            if not seen:
                raise
            found = Unanswered(reason(error.__cause__ or error))
        took = monotonic() - started
        yield found
        sleep(max(LOOK_AGAIN_SECONDS, took * (1 / LOOKING_SHARE - 1)))


def watch_studies(database: Database) -> Generator[list[StudyRecord] | Unanswered]:
    """Every study that has a spec, look after look. Raises StorageUnavailable."""
    return look_again(lambda: list_studies(database))


def watch_status(database: Database, name: str) -> Generator[Status | Unanswered]:
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
