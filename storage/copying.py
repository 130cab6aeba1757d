"""A study from one database to another of whatever kind: whole and the same, or not at all."""

from collections.abc import Collection, Mapping
from itertools import zip_longest

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from storage.artifact_names import artifact_ids
from storage.clock import now_ms
from storage.engine import Database, persistent
from storage.errors import StorageUnavailable, StudyDeleted, StudyExists, StudyInUse
from storage.hosts import has_died, this_host
from storage.portable import OF_TRIAL, Part, Row, read_portable, trials
from storage.schema import (
    follow_up,
    lease,
    optuna_studies,
    optuna_trials,
    reading,
    study,
)
from storage.studies import StoredStudy
from storage.urls import shown_url

# Another writer may take a name or the number of a reading in between: one of the two goes through.
ATTEMPTS = 5


@persistent
def check_nobody_works_on(database: Database, stored: StoredStudy) -> None:
    """Raises StudyInUse where a worker that may be alive holds a trial of the study, or of one that
    follows it up.
    """
    with database.transactions.snapshot() as connection:
        _refuse_in_use(connection, stored, _family(connection, stored.study_id))


def copy_rows(
    source: Database,
    target: Database,
    stored: StoredStudy,
    artifacts: Collection[str],
    splits: Collection[str],
) -> bool:
    """Copies the study of `source` with all that follow it up, in one transaction of `target`,
    where each has the uid that it has; what was written is read again and compared before it is
    committed.

    `artifacts` are those that are kept for `target` already. All readings of the test `splits` go
    along, so that nobody takes a later one for the first; a number that is taken there becomes the
    next free one. `False`: the study is there as it is here, copied before.

    Raises:
        StudyExists: `target` has another study of that name.
        StudyInUse: a worker holds a trial of it, or has given one an artifact meanwhile.
        StudyDeleted: the study is gone from `source`.
        StorageUnavailable: `target` does not hold it exactly.
    """

    def copy(repeated: bool) -> bool:
        with source.transactions.snapshot() as here, target.transactions.write() as there:
            if not _is_there(here, stored):
                raise StudyDeleted(stored.name)
            family = _family(here, stored.study_id)
            _refuse_in_use(here, stored, family)
            if not artifact_ids(here, family.values()) <= {*artifacts}:
                raise StudyInUse.changed(stored.name)
            copier = _Copier(here, there)
            if (found := _id_of(there, stored.name)) is not None:
                if copier.first_difference(family, _family(there, found)) is not None:
                    raise StudyExists(stored.name, shown_url(target.url))
                return False
            written = copier.write(family)
            if (table := copier.first_difference(family, written)) is not None:
                raise StorageUnavailable.not_exact(shown_url(target.url), stored.name, table)
            _copy_readings(here, there, splits)
            return True

    attempt = 1
    while True:
        try:
            return target.transactions.persist(copy)
        except IntegrityError:
            if attempt == ATTEMPTS:
                raise
            attempt += 1


def _is_there(connection: Connection, stored: StoredStudy) -> bool:
    query = select(study.c.uid).where(study.c.study_id == stored.study_id)
    return connection.scalar(query) == stored.uid


def _id_of(connection: Connection, name: str) -> int | None:
    return connection.scalar(
        select(optuna_studies.c.study_id).where(optuna_studies.c.study_name == name)
    )


def _family(connection: Connection, study_id: int) -> dict[str, int]:
    """The ids of the study and of those that follow it up, by name, the study first."""
    names = optuna_studies.c.study_name, optuna_studies.c.study_id
    of_study = select(*names).where(optuna_studies.c.study_id == study_id)
    following = (
        select(*names)
        .join(follow_up, follow_up.c.study_id == optuna_studies.c.study_id)
        .where(follow_up.c.parent_id == study_id)
        .order_by(optuna_studies.c.study_id)
    )
    rows = [*connection.execute(of_study), *connection.execute(following)]
    return {row.study_name: row.study_id for row in rows}


def _refuse_in_use(connection: Connection, stored: StoredStudy, family: Mapping[str, int]) -> None:
    """Raises StudyInUse where a worker that may be alive holds a trial."""
    query = (
        select(lease, optuna_trials.c.number, optuna_studies.c.study_name)
        .join(optuna_trials, optuna_trials.c.trial_id == lease.c.trial_id)
        .join(optuna_studies, optuna_studies.c.study_id == optuna_trials.c.study_id)
        .where(optuna_trials.c.study_id.in_(family.values()))
        .where(lease.c.owner.is_not(None), lease.c.expires_ms > now_ms())
        .order_by(lease.c.trial_id)
    )
    machine = this_host().machine
    for row in connection.execute(query):
        if row.machine != machine or not has_died(row.pid, row.process_started):
            raise StudyInUse.held(stored.name, row.study_name, row.number, row.host)


class _Copier:
    """Between a reading transaction of one database and a writing one of another."""

    def __init__(self, here: Connection, there: Connection) -> None:
        self._here = here
        self._there = there
        self._in_seconds = "mysql" in (here.dialect.name, there.dialect.name)

    def write(self, family: Mapping[str, int]) -> dict[str, int]:
        """Writes the studies `there`; returns their ids there, by name."""
        written: dict[str, int] = {}
        for name, study_id in family.items():
            self._there.execute(insert(optuna_studies).values(study_name=name))
            new_id = _id_of(self._there, name)
            assert new_id is not None
            written[name] = new_id
            parent_id = next(iter(written.values()))
            trial_ids: dict[object, int] = {}
            for part in read_portable(self._here, study_id, in_seconds=self._in_seconds):
                self._there.execute(
                    insert(part.table), _with_ids(part, new_id, parent_id, trial_ids)
                )
                if part.table is trials:
                    trial_ids = self._trial_ids(new_id, part)
        return written

    def _trial_ids(self, study_id: int, part: Part) -> dict[object, int]:
        numbers = [row["number"] for row in part.rows]
        query = select(trials.c.number, trials.c.trial_id).where(
            trials.c.study_id == study_id, trials.c.number.in_(numbers)
        )
        return {row.number: row.trial_id for row in self._there.execute(query)}

    def first_difference(self, family: Mapping[str, int], other: Mapping[str, int]) -> str | None:
        """The first table of which the studies `there` have other rows than those `here`."""
        if list(family) != list(other):
            return optuna_studies.name
        for name, study_id in family.items():
            for one, two in zip_longest(
                read_portable(self._here, study_id, in_seconds=self._in_seconds),
                read_portable(self._there, other[name], in_seconds=self._in_seconds),
            ):
                if one != two:
                    return str((one or two).table.name)
        return None


def _with_ids(
    part: Part, study_id: int, parent_id: int, trial_ids: Mapping[object, int]
) -> list[Row]:
    if part.table in OF_TRIAL:
        return [
            {name: value for name, value in row.items() if name != "number"}
            | {"trial_id": trial_ids[row["number"]]}
            for row in part.rows
        ]
    ids: Row = {"study_id": study_id}
    if part.table is follow_up:
        ids["parent_id"] = parent_id
    return [row | ids for row in part.rows]


def _copy_readings(here: Connection, there: Connection, splits: Collection[str]) -> None:
    of_splits = reading.c.split_sha256.in_(splits)
    known = set(there.scalars(select(reading.c.study_uid)))
    for row in here.execute(
        select(reading).where(of_splits).order_by(reading.c.split_sha256, reading.c.number)
    ):
        if row.study_uid in known:
            continue
        of_split = reading.c.split_sha256 == row.split_sha256
        taken = set(there.scalars(select(reading.c.number).where(of_split)))
        number = row.number if row.number not in taken else max(taken) + 1
        there.execute(insert(reading).values(**{**row._mapping, "number": number}))
