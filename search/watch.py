"""What others do with a study, as events: read from the database, the only meeting place."""

import time
from collections.abc import Callable, Generator

from search.answers import parameters
from search.events import Event, Running, TrialFinished
from storage.engine import Database
from storage.records import read_running, read_study, read_trials
from storage.studies import StoredStudy

LOOK_SECONDS = 1.0


def watch_study(
    database: Database,
    stored: StoredStudy,
    go_on: Callable[[], bool],
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[Event]:
    """Events of trials that end from now on, and of those that run, while `go_on()`."""
    seen = {trial.number for trial in read_trials(database, stored.study_id) if trial.state != "running"}
    last = False
    while not last:
        last = not go_on()
        record = read_study(database, stored)
        if record.finished + record.failed > len(seen):
            for trial in read_trials(database, stored.study_id):
                if trial.state == "running" or trial.number in seen:
                    continue
                seen.add(trial.number)
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
