"""The trainings of a follow-up: a list of slots that workers take one after another."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from sqlalchemy import Connection, Row, func, select, update

from storage.computing import Computed
from storage.engine import Database, persistent
from storage.schema import optuna_trials, slot, slot_trial, study
from storage.studies import StoredStudy
from storage.study_states import end_if_due, lock_study

# A slot is given out so often, before the follow-up ends as one that fails.
FAILURES_CAP = 3


@dataclass(frozen=True)
class Slot:
    """One training of a follow-up."""

    # Slots are numbered from 0, in the order in which they are given out.
    index: int
    # Stages are numbered from 1.
    stage: int
    # The content says as JSON what is trained, and what for.
    content: str
    # It is computed as a recorded trial was, or, where this is `None`, as its worker computes.
    computed: Computed | None = None

    @classmethod
    def from_row(cls, row: Row[tuple[object, ...]]) -> "Slot":
        """Reads a row of the table."""
        found = row._mapping
        computed = (
            None
            if found["threads"] is None
            else Computed(found["device"], found["threads"], found["piece"])
        )
        return cls(found["slot"], found["stage"], found["content"], computed)


@dataclass(frozen=True)
class TakenSlot:
    """A slot, and the trial that has trained it or is training it; `None` where none does."""

    slot: Slot
    # The trial's number stands here.
    trial: int | None
    trial_id: int | None
    state: Literal["free", "running", "complete", "pruned"]


_STATES: dict[str, Literal["running", "complete", "pruned"]] = {
    "RUNNING": "running",
    "WAITING": "running",
    "COMPLETE": "complete",
    "PRUNED": "pruned",
}


def next_free_slot(connection: Connection, study_id: int) -> Slot | None:
    """The lowest slot that no trial has finished or is at; the caller has locked the study."""
    taken = (
        select(slot_trial.c.slot)
        .join(optuna_trials, optuna_trials.c.trial_id == slot_trial.c.trial_id)
        .where(optuna_trials.c.study_id == study_id, optuna_trials.c.state != "FAIL")
    )
    query = (
        select(slot)
        .where(slot.c.study_id == study_id, slot.c.slot.not_in(taken))
        .order_by(slot.c.slot)
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else Slot.from_row(row)


def slot_of(connection: Connection, study_id: int, trial_id: int) -> Slot | None:
    """The slot that a trial is at."""
    query = (
        select(slot)
        .join(slot_trial, slot_trial.c.slot == slot.c.slot)
        .where(slot.c.study_id == study_id, slot_trial.c.trial_id == trial_id)
    )
    row = connection.execute(query).first()
    return None if row is None else Slot.from_row(row)


def insert_slots(
    connection: Connection,
    study_id: int,
    first: int,
    stage: int,
    contents: Sequence[str],
    computed: Computed | None = None,
) -> None:
    """Adds a stage's slots after those that are there; all are `computed` alike."""
    how = {} if computed is None else asdict(computed)
    if contents:
        connection.execute(
            slot.insert(),
            [
                {
                    "study_id": study_id,
                    "slot": first + place,
                    "stage": stage,
                    "content": content,
                    **how,
                }
                for place, content in enumerate(contents)
            ],
        )


def has_failed_too_often(connection: Connection, study_id: int, index: int) -> bool:
    """Whether so many trials of a slot have failed that no other one is to try."""
    failed = (
        select(func.count())
        .select_from(slot_trial)
        .join(optuna_trials, optuna_trials.c.trial_id == slot_trial.c.trial_id)
        .where(
            optuna_trials.c.study_id == study_id,
            optuna_trials.c.state == "FAIL",
            slot_trial.c.slot == index,
        )
    )
    return (connection.scalar(failed) or 0) >= FAILURES_CAP


@persistent
def read_slots(database: Database, study_id: int) -> list[TakenSlot]:
    """Every slot in order, with the trial that counts for it."""
    trials = (
        select(slot_trial, optuna_trials.c.number, optuna_trials.c.state)
        .join(optuna_trials, optuna_trials.c.trial_id == slot_trial.c.trial_id)
        .where(optuna_trials.c.study_id == study_id, optuna_trials.c.state != "FAIL")
    )
    slots = select(slot).where(slot.c.study_id == study_id).order_by(slot.c.slot)
    with database.transactions.snapshot() as connection:
        taken = {row.slot: row for row in connection.execute(trials)}
        found = []
        for row in connection.execute(slots):
            by = taken.get(row.slot)
            found.append(
                TakenSlot(Slot.from_row(row), None, None, "free")
                if by is None
                else TakenSlot(Slot.from_row(row), by.number, by.trial_id, _STATES[by.state])
            )
    return found


@persistent
def read_slot_contents(database: Database, study_id: int) -> dict[int, str]:
    """The content of the slot that each trial is at or has been at, by the trial's number."""
    at = (slot.c.study_id == optuna_trials.c.study_id) & (slot.c.slot == slot_trial.c.slot)
    query = (
        select(optuna_trials.c.number, slot.c.content)
        .join(slot_trial, slot_trial.c.trial_id == optuna_trials.c.trial_id)
        .join(slot, at)
        .where(optuna_trials.c.study_id == study_id)
    )
    with database.transactions.read() as connection:
        return {row.number: row.content for row in connection.execute(query)}


def add_stage(
    database: Database, stored: StoredStudy, there: int, contents: Sequence[str], most: int
) -> bool:
    """Adds the next stage's slots where `there` slots are still all that there are, and sets how
    many trainings the whole may take at most: then the follow-up ends.

    `False` where another worker was first. Raises StudyDeleted.
    """

    def add(repeated: bool) -> bool:
        with database.transactions.write() as connection:
            lock_study(connection, stored)
            of_study = slot.c.study_id == stored.study_id
            count, stage = connection.execute(
                select(func.count(), func.coalesce(func.max(slot.c.stage), 0)).where(of_study)
            ).one()
            if count != there:
                return False
            insert_slots(connection, stored.study_id, there, stage + 1, contents)
            connection.execute(
                update(study).where(study.c.study_id == stored.study_id).values(trials=most)
            )
            end_if_due(connection, stored)
            return True

    return database.transactions.persist(add)
