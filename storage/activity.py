"""Who works on what, and for how long somebody has."""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import func, select

from storage.clock import now_ms
from storage.engine import Database, persistent
from storage.hosts import has_died, this_host
from storage.schema import (
    UNFINISHED,
    attempt,
    epoch,
    lease,
    optuna_studies,
    optuna_trials,
    study,
    worker,
)


@dataclass(frozen=True)
class RunningTrial:
    """A trial that a worker holds now; `worker` is `None` where it waits to be taken up again."""

    number: int
    worker: str | None
    host: str
    device: str
    # The epoch is the last recorded one; it is 0 before the first.
    epoch: int
    seconds_since_sign_of_life: float


@persistent
def read_running(database: Database, study_id: int) -> list[RunningTrial]:
    """The trials that are held or wait to be taken up again, by number."""
    last_epoch = (
        select(func.coalesce(func.max(epoch.c.epoch), 0))
        .where(epoch.c.trial_id == lease.c.trial_id, epoch.c.attempt == lease.c.attempt)
        .scalar_subquery()
    )
    query = (
        select(
            optuna_trials.c.number,
            lease.c.owner,
            lease.c.host,
            attempt.c.device,
            last_epoch.label("epoch"),
            (now_ms() - lease.c.beat_ms).label("silence_ms"),
        )
        .join(optuna_trials, optuna_trials.c.trial_id == lease.c.trial_id)
        .join(
            attempt,
            (attempt.c.trial_id == lease.c.trial_id) & (attempt.c.attempt == lease.c.attempt),
        )
        .where(optuna_trials.c.study_id == study_id)
        .order_by(optuna_trials.c.number)
    )
    with database.transactions.read() as connection:
        return [
            RunningTrial(
                row.number, row.owner, row.host, row.device, row.epoch, row.silence_ms / 1000
            )
            for row in connection.execute(query)
        ]


@persistent
def read_unfinished(database: Database) -> dict[str, set[int]]:
    """The numbers of the trials that have not ended, by uid of every study."""
    unfinished = (
        select(study.c.uid, optuna_trials.c.number)
        .outerjoin(
            optuna_trials,
            (optuna_trials.c.study_id == study.c.study_id) & optuna_trials.c.state.in_(UNFINISHED),
        )
        .order_by(study.c.uid)
    )
    found: dict[str, set[int]] = defaultdict(set)
    with database.transactions.read() as connection:
        for row in connection.execute(unfinished):
            found[row.uid] |= set() if row.number is None else {row.number}
    return dict(found)


@persistent
def read_epoch_seconds(database: Database, study_id: int, limit: int = 100) -> list[float]:
    """What the epochs recorded last took."""
    query = (
        select(epoch.c.seconds)
        .join(optuna_trials, optuna_trials.c.trial_id == epoch.c.trial_id)
        .where(optuna_trials.c.study_id == study_id)
        .order_by(epoch.c.trial_id.desc())
        .limit(limit)
    )
    with database.transactions.read() as connection:
        return list(connection.scalars(query))


@dataclass(frozen=True)
class WorkerRecord:
    """A worker that is alive, and what it works on: `study` and `number` are `None` where it
    waits.
    """

    worker: str
    host: str
    pid: int
    device: str
    threads: int
    alive_seconds: float
    study: str | None
    number: int | None


@persistent
def read_workers(database: Database) -> list[WorkerRecord]:
    """Every worker whose last sign of life has not expired, oldest first; of this machine no dead
    process.
    """
    here = this_host().machine
    query = (
        select(
            worker,
            (now_ms() - worker.c.started_ms).label("alive_ms"),
            optuna_studies.c.study_name,
            optuna_trials.c.number,
        )
        .outerjoin(lease, lease.c.owner == worker.c.worker_id)
        .outerjoin(optuna_trials, optuna_trials.c.trial_id == lease.c.trial_id)
        .outerjoin(optuna_studies, optuna_studies.c.study_id == optuna_trials.c.study_id)
        .where(worker.c.expires_ms > now_ms())
        .order_by(worker.c.started_ms, worker.c.worker_id)
    )
    with database.transactions.read() as connection:
        return [
            WorkerRecord(
                worker=row.worker_id,
                host=row.host,
                pid=row.pid,
                device=row.device,
                threads=row.threads,
                alive_seconds=row.alive_ms / 1000,
                study=row.study_name,
                number=row.number,
            )
            for row in connection.execute(query)
            if row.machine != here or not has_died(row.pid, row.process_started)
        ]


@persistent
def read_work_spans(database: Database, study_id: int) -> list[tuple[int, int | None]]:
    """When workers had trials of the study in their hands, (from, to) in milliseconds; `None`: one
    still has.

    A worker that was lost counts for as long as its recorded epochs took: when it died nobody
    knows.
    """
    worked = func.coalesce(func.sum(epoch.c.seconds), 0.0).label("worked_seconds")
    query = (
        select(attempt.c.started_ms, attempt.c.ended_ms, attempt.c.outcome, worked)
        .join(optuna_trials, optuna_trials.c.trial_id == attempt.c.trial_id)
        .outerjoin(
            epoch,
            # Epochs are counted of lost attempts alone: others have recorded when they ended.
            (attempt.c.outcome == "lost")
            & (epoch.c.trial_id == attempt.c.trial_id)
            & (epoch.c.attempt == attempt.c.attempt),
        )
        .where(optuna_trials.c.study_id == study_id)
        .group_by(
            attempt.c.trial_id,
            attempt.c.attempt,
            attempt.c.started_ms,
            attempt.c.ended_ms,
            attempt.c.outcome,
        )
    )
    with database.transactions.read() as connection:
        rows = connection.execute(query).all()
    spans = []
    for row in rows:
        died_ms = row.started_ms + round(1000 * row.worked_seconds)
        spans.append((row.started_ms, died_ms if row.outcome == "lost" else row.ended_ms))
    return spans
