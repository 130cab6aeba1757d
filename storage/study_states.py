"""Which state a study is in, and when its budget, its time or its failures end it."""

from dataclasses import dataclass

from sqlalchemy import Connection, Row, Select, func, select, update

from storage.clock import now_ms
from storage.direction import Direction
from storage.errors import StudyDeleted
from storage.schema import (
    follow_up,
    optuna_study_directions,
    optuna_trials,
    optuna_values,
    study,
)
from storage.studies import EndReason, StoredStudy, StudyState

# Each state has those that may follow it.
TRANSITIONS: dict[StudyState, tuple[StudyState, ...]] = {
    "open": ("paused", "ended"),
    "paused": ("open", "ended"),
    # A raised budget opens it again.
    "ended": ("open",),
}

# Failed trials use up no budget, so a cap ends a study that cannot work. After so many with nothing
# finished, the fault is in the spec, the data or the machine.
ALL_FAILED_CAP = 3
# Where some have finished, it takes so many, or as many as the budget has trials, if that is more.
FAILED_CAP = 10


@dataclass(frozen=True)
class Counts:
    """How many trials of a study have ended, by how."""

    complete: int
    pruned: int
    failed: int

    @property
    def finished(self) -> int:
        """What the budget counts."""
        return self.complete + self.pruned


def count_trials(connection: Connection, study_id: int) -> Counts:
    """Counts the study's trials by Optuna's states."""
    rows = connection.execute(
        select(optuna_trials.c.state, func.count())
        .where(optuna_trials.c.study_id == study_id)
        .group_by(optuna_trials.c.state)
    )
    found = {row[0]: row[1] for row in rows}
    return Counts(found.get("COMPLETE", 0), found.get("PRUNED", 0), found.get("FAIL", 0))


def lock_study(connection: Connection, stored: StoredStudy) -> Row[tuple[object, ...]]:
    """The study's row, locked until the transaction ends, with the database's clock as `now`.

    The first statement of every transaction that needs this lock, so that no two wait for each
    other.

    Raises:
        StudyDeleted: the study is gone, or another one has its id.
    """
    row = connection.execute(_row_of(stored).with_for_update()).one_or_none()
    if row is None:
        raise StudyDeleted(stored.name)
    return row


def read_state(connection: Connection, stored: StoredStudy) -> tuple[StudyState, bool]:
    """The study's state as it is now, without a lock, and whether its time is up.

    Raises:
        StudyDeleted: the study is gone, or another one has its id.
    """
    row = connection.execute(_row_of(stored)).one_or_none()
    if row is None:
        raise StudyDeleted(stored.name)
    return row.state, row.state == "open" and _timed_out(row)


def _row_of(stored: StoredStudy) -> "Select[tuple[object, ...]]":
    # SQLite uses the ids of deleted studies again, so the id alone does not tell.
    return select(study, now_ms().label("now")).where(
        study.c.study_id == stored.study_id, study.c.uid == stored.uid
    )


def move(
    connection: Connection,
    row: Row[tuple[object, ...]],
    to: StudyState,
    reason: EndReason | None = None,
) -> None:
    """Takes the study whose locked row this is to a state that may follow its own."""
    if to not in TRANSITIONS[row.state]:
        raise ValueError(f"a study that is {row.state} cannot become {to}")
    connection.execute(
        update(study)
        .where(study.c.study_id == row.study_id)
        .values(
            state=to,
            end_reason=reason,
            ended_ms=now_ms() if to == "ended" else None,
            paused_ms=row.paused_ms + _stood_still_ms(row),
            paused_since_ms=now_ms() if to == "paused" else None,
        )
    )


def end_if_due(connection: Connection, stored: StoredStudy) -> StudyState:
    """Ends the study if its budget is used up; returns its state after that. Raises
    StudyDeleted.
    """
    return end_locked_if_due(connection, lock_study(connection, stored))


def end_locked_if_due(connection: Connection, row: Row[tuple[object, ...]]) -> StudyState:
    """As `end_if_due`, for the study whose row this transaction has locked."""
    state: StudyState = row.state
    if state != "open":
        return state
    reason = due(connection, row, count_trials(connection, row.study_id))
    if reason is None:
        return state
    move(connection, row, "ended", reason)
    return "ended"


def due(connection: Connection, row: Row[tuple[object, ...]], counts: Counts) -> EndReason | None:
    """Why the study whose locked row this is should end now, or stay ended; `None` where it should
    go on. Of a follow-up failures are counted by slot: see storage.slots.
    """
    if counts.finished >= row.trials:
        return "trials"
    if _has_reached_target(connection, row):
        return "target"
    if _timed_out(row):
        return "timeout"
    has_failed = (counts.finished == 0 and counts.failed >= ALL_FAILED_CAP) or (
        counts.failed >= max(FAILED_CAP, row.trials)
    )
    if has_failed and not _follows_another(connection, row.study_id):
        return "failures"
    return None


def _follows_another(connection: Connection, study_id: int) -> bool:
    query = select(follow_up.c.study_id).where(follow_up.c.study_id == study_id)
    return connection.execute(query).first() is not None


def _has_reached_target(connection: Connection, row: Row[tuple[object, ...]]) -> bool:
    """Whether a complete trial has reached the target that the study whose row this is has now."""
    if row.target is None:
        return False
    directions, value = optuna_study_directions, optuna_values.c.value
    of_metric = (directions.c.study_id == row.study_id) & (directions.c.objective == 0)
    stored = connection.scalar(select(directions.c.direction).where(of_metric))
    direction = Direction(str(stored).lower())
    reaching = (
        select(optuna_values.c.trial_id)
        .join(optuna_trials, optuna_trials.c.trial_id == optuna_values.c.trial_id)
        .where(optuna_trials.c.study_id == row.study_id, optuna_trials.c.state == "COMPLETE")
        .where(optuna_values.c.objective == 0, direction.reached(value, row.target))
    )
    return connection.execute(reaching.limit(1)).first() is not None


def _timed_out(row: Row[tuple[object, ...]]) -> bool:
    if row.timeout_seconds is None or row.started_ms is None:
        return False
    elapsed_ms = row.now - row.started_ms - row.paused_ms - _stood_still_ms(row)
    return bool(elapsed_ms >= row.timeout_seconds * 1000)


def _stood_still_ms(row: Row[tuple[object, ...]]) -> int:
    """For how long the study has been paused, or ended, by now; before its first trial no time of
    it is counted.
    """
    since_ms = row.ended_ms if row.state == "ended" else row.paused_since_ms
    return 0 if since_ms is None or row.started_ms is None else max(0, row.now - since_ms)
