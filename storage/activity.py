"""Who works on what, and for how long somebody has."""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import BigInteger, case, cast, func, select

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
def read_worked_ms(database: Database, study_id: int) -> int:
    """For how many milliseconds somebody worked on a study's trials that have ended: neither pauses
    count, nor the time while the study had ended, nor between runs, and time in which several
    workers worked counts once.

    A worker that was lost counts for as long as its recorded epochs took: when it died nobody
    knows. A trial that a worker still holds counts up to when the last one ended. The database adds
    up, as a study has an attempt for each of its trials and more.
    """
    recorded_ms = (
        select(func.coalesce(func.sum(epoch.c.seconds), 0.0) * 1000)
        .where(epoch.c.trial_id == attempt.c.trial_id, epoch.c.attempt == attempt.c.attempt)
        .correlate(attempt)
        .scalar_subquery()
    )
    died_ms = attempt.c.started_ms + cast(func.round(recorded_ms), BigInteger)
    ended_ms = case((attempt.c.outcome == "lost", died_ms), else_=attempt.c.ended_ms)
    span = (
        select(attempt.c.started_ms, ended_ms.label("ended_ms"))
        .join(optuna_trials, optuna_trials.c.trial_id == attempt.c.trial_id)
        .where(optuna_trials.c.study_id == study_id)
        .subquery()
    )
    last_ms = func.max(span.c.ended_ms).over()
    closed = select(
        span.c.started_ms, func.coalesce(span.c.ended_ms, last_ms).label("ended_ms")
    ).subquery()
    # What an earlier span has covered already does not count again.
    covered_ms = func.max(closed.c.ended_ms).over(
        order_by=(closed.c.started_ms, closed.c.ended_ms), rows=(None, -1)
    )
    since = select(
        closed.c.ended_ms,
        case((covered_ms > closed.c.started_ms, covered_ms), else_=closed.c.started_ms).label(
            "from_ms"
        ),
    ).subquery()
    added_ms = case((since.c.ended_ms > since.c.from_ms, since.c.ended_ms - since.c.from_ms))
    with database.transactions.read() as connection:
        return int(connection.scalar(select(func.coalesce(func.sum(added_ms), 0))) or 0)
