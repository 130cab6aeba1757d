"""How far studies are: what there is to see of them while they run."""

from dataclasses import dataclass

from search.spec.definition import stored_spec
from search.spec.study_spec import StudySpec
from storage.activity import (
    RunningTrial,
    WorkerRecord,
    read_epoch_seconds,
    read_running,
    read_worked_ms,
    read_workers,
)
from storage.engine import Database
from storage.records import StudyRecord, TrialRecord, read_incumbent, read_studies, read_study
from storage.studies import find_study

# So many of each study's last epochs tell how long one takes.
EPOCHS = 1000


@dataclass(frozen=True)
class Status:
    """How far one study is."""

    record: StudyRecord
    spec: StudySpec
    running: tuple[RunningTrial, ...]
    # Every worker that is alive is here, of this study or another.
    workers: tuple[WorkerRecord, ...]
    incumbent: TrialRecord | None
    # The finished trials are counted over the time in which somebody worked on the study.
    trials_per_hour: float | None
    seconds_to_go: float | None


def study_status(database: Database, name: str) -> Status:
    """How far a study is. Raises StudyNotFound, ForeignStudy."""
    stored = find_study(database, name)
    record, spec = read_study(database, stored), stored_spec(stored)
    hours = read_worked_ms(database, stored.study_id) / 3_600_000
    pace = record.finished / hours if record.finished and hours > 0 else None
    left = max(0, spec.planned_trials - record.finished) if stored.state != "ended" else 0
    return Status(
        record=record,
        spec=spec,
        running=tuple(read_running(database, stored.study_id)),
        workers=tuple(read_workers(database)),
        incumbent=read_incumbent(database, stored.study_id, spec.direction),
        trials_per_hour=pace,
        seconds_to_go=None if pace is None else left / pace * 3600,
    )


def list_studies(database: Database) -> list[StudyRecord]:
    """Every study that has a spec, in the order of creation."""
    return read_studies(database)


def seconds_per_epoch(database: Database, spec: StudySpec) -> float | None:
    """The median over the epochs recorded last of studies with the same data and network; `None`
    without any.
    """
    from statistics import median

    seconds = [
        each
        for record in read_studies(database)
        if (other := stored_spec(record.stored)).data == spec.data and other.model == spec.model
        for each in read_epoch_seconds(database, record.stored.study_id, EPOCHS)
    ]
    return median(seconds) if seconds else None
