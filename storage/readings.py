"""Readings of test splits, each with its number: who has looked how often is never lost."""

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update
from sqlalchemy.exc import IntegrityError

from storage.clock import now_ms
from storage.engine import Database, persistent
from storage.schema import reading
from storage.studies import StoredStudy
from storage.study_states import lock_study


@dataclass(frozen=True)
class Reading:
    """One reading of a test split, by one follow-up."""

    split_sha256: str
    # Readings are numbered from 1, by split, in this database.
    number: int
    dataset: str
    study_name: str
    # The configuration whose score it is stands here as JSON.
    configuration: str
    # A reading that has begun and is not complete has no score.
    score: float | None


def split_id(dataset: str, fingerprint: str | None) -> str:
    """What a test split is called before it is opened: of its data set's fingerprint."""
    return hashlib.sha256(f"test split of {fingerprint or dataset}".encode()).hexdigest()


def begin_reading(
    database: Database, stored: StoredStudy, split_sha256: str, dataset: str, configuration: str
) -> int:
    """The number of the follow-up's reading, which is written before the split is opened; a second
    call gives the same number.

    Raises StudyDeleted.
    """

    def begin(repeated: bool) -> int:
        with database.transactions.write() as connection:
            lock_study(connection, stored)
            own = select(reading.c.number).where(reading.c.study_uid == stored.uid)
            if (found := connection.scalar(own)) is not None:
                return int(found)
            of_split = select(func.max(reading.c.number)).where(
                reading.c.split_sha256 == split_sha256
            )
            number = 1 + (connection.scalar(of_split) or 0)
            connection.execute(
                reading.insert().values(
                    split_sha256=split_sha256,
                    number=number,
                    dataset=dataset,
                    study_uid=stored.uid,
                    study_name=stored.name,
                    configuration=configuration,
                    begun_ms=now_ms(),
                )
            )
            return number

    while True:
        try:
            return database.transactions.persist(begin)
        except IntegrityError:
            # Another study's reading of the same split has just taken the number: one of the two
            # went through, so this ends.
            continue


def complete_reading(connection: Connection, stored: StoredStudy, score: float) -> None:
    """Records the score, within the transaction that ends the trial that completes the reading."""
    connection.execute(
        update(reading)
        .where(reading.c.study_uid == stored.uid)
        .values(ended_ms=now_ms(), score=score)
    )


@persistent
def read_reading(database: Database, stored: StoredStudy) -> Reading | None:
    """The follow-up's reading, if it has begun one."""
    columns = [reading.c[name] for name in Reading.__dataclass_fields__]
    query = select(*columns).where(reading.c.study_uid == stored.uid)
    with database.transactions.read() as connection:
        row = connection.execute(query).first()
    return None if row is None else Reading(*row)
