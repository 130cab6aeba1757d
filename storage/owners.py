"""Who owns the artifacts of a root that several databases share: each marks what its trials name,
by a uid of its own.

Contents that are equal are one file, whichever database they are of, and no database can be asked
about another's trials. So a mark stands beside each file for every database that wants it, and only
the last one removes the file.
"""

import io
import json
import uuid
from collections.abc import Callable, Iterable, Mapping

from optuna.artifacts.exceptions import ArtifactNotFound
from sqlalchemy import Connection, column, delete, insert, select, table

from storage import schema
from storage.artifact_names import is_artifact_named, read_artifact_ids
from storage.artifact_store import ARTIFACT_ID, ArtifactStore
from storage.artifacts import StoredArtifact, attributes, id_of, put
from storage.backends.kinds import backend
from storage.engine import Database
from storage.errors import StudyDeleted
from storage.studies import StoredStudy
from storage.study_states import lock_study

# Stands for all that a database's trials name: with its mark here, a database has marked them one
# by one in this root.
ALL = "all"


class Owner:
    """A database as an owner of the artifacts in a store.

    Each step comes before what makes it necessary: a mark before its file, the file before the
    trial that names it; and whoever has taken something away looks once more whether somebody came
    to want it meanwhile.

    >>> owner = Owner(database, store)                    # doctest: +SKIP
    >>> stored = owner.put(files)                         # then a trial names them, then once more:
    >>> owner.put(files)
    """

    def __init__(self, database: Database, store: ArtifactStore) -> None:
        """Marks what the trials name, unless this was done in this root. Raises
        ArtifactsUnavailable.
        """
        self._database = database
        self._store = store
        self.uid = read_uid(database)
        named = _ours(read_artifact_ids(database, None))
        if named and self.uid not in store.owners(ALL):
            for artifact_id in named:
                if store.holds(artifact_id):
                    store.mark(artifact_id, self.uid)
            store.mark(ALL, self.uid)

    def put(self, files: Mapping[str, bytes]) -> tuple[StoredArtifact, ...]:
        """Keeps files (name -> content), marked; a content that is there already is not written
        again.

        Called again once a trial names them it brings back what was removed in between: by a
        deletion that had looked before the mark was there or, within this database, before the
        trial named it.

        Raises:
            ArtifactsUnavailable: the store cannot be written to; repeating it is safe.
        """
        for content in files.values():
            self._store.mark(id_of(content), self.uid)
        return put(self._store, files)

    def keep(self, artifact_id: str, read: Callable[[], bytes]) -> None:
        """As `put`, of one whose content is read only where it is not there yet.

        Raises what `read` raises, and ArtifactsUnavailable.
        """
        self._store.mark(artifact_id, self.uid)
        if not self._store.holds(artifact_id):
            self._store.write(artifact_id, io.BytesIO(read()))

    def add(self, stored: StoredStudy, trial_id: int, files: Mapping[str, bytes]) -> None:
        """Gives a trial of that study, which has ended, further artifacts; those that it names
        already stay.

        Raises:
            ArtifactsUnavailable: the store cannot be written to; repeating it is safe.
            StudyDeleted: the study is gone, and nothing is kept.
        """
        kept = self.put(files)
        named = {key: json.dumps(value) for key, value in attributes(kept).items()}
        table = schema.optuna_system_attributes

        def name(repeated: bool) -> None:
            with self._database.transactions.write() as connection:
                lock_study(connection, stored)
                there = set(
                    connection.scalars(select(table.c.key).where(table.c.trial_id == trial_id))
                )
                rows = [
                    {"trial_id": trial_id, "key": key, "value_json": text}
                    for key, text in named.items()
                    if key not in there
                ]
                if rows:
                    connection.execute(insert(table), rows)

        try:
            self._database.transactions.persist(name)
        except StudyDeleted:
            self.release(artifact.artifact_id for artifact in kept)
            raise
        self.put(files)

    def release(self, artifact_ids: Iterable[str]) -> None:
        """Gives up those that no trial names any more; what nobody else owns is removed, what
        nobody marked stays.

        Raises:
            ArtifactsUnavailable: the store cannot be written to; the rest stays.
        """
        for artifact_id in _ours(artifact_ids):
            owners = self._store.owners(artifact_id)
            if self.uid not in owners or self._wants(artifact_id):
                continue
            if owners == {self.uid}:
                self._remove(artifact_id)
            self._store.unmark(artifact_id, self.uid)
            if self._wants(artifact_id):
                self._store.mark(artifact_id, self.uid)

    def _remove(self, artifact_id: str) -> None:
        try:
            with self._store.open_reader(artifact_id) as file:
                content = file.read()
            self._store.remove(artifact_id)
        except ArtifactNotFound:
            return
        if self._store.owners(artifact_id) - {self.uid} or self._wants(artifact_id):
            self._store.write(artifact_id, io.BytesIO(content))

    def _wants(self, artifact_id: str) -> bool:
        return is_artifact_named(self._database, artifact_id)


def _ours(artifact_ids: Iterable[str]) -> list[str]:
    # A database may name anything, another program's artifacts or ../../another/file.
    return sorted(each for each in artifact_ids if ARTIFACT_ID.fullmatch(each))


# A table with one row, whatever else the database holds.
_VERSION = table(schema.VERSION_TABLE, column("version_num"))


def read_uid(database: Database) -> str:
    """The uid of this database. One that is not where it took its uid is a copy, and takes a new
    one.
    """
    here = backend(database.url)

    def read(repeated: bool) -> str:
        with database.transactions.read() as connection:
            place = here.place(database.url, connection)
            found = _uid_at(place, connection)
        if found is not None:
            return found
        with database.transactions.write() as connection:
            # Of several workers that find a copy at once, one takes the uid and the others wait for
            # it, each on the connection that it has: on a full server, where each holds one, none
            # would ever get a second.
            connection.execute(
                select(column("version_num")).select_from(_VERSION).with_for_update()
            )
            found = _uid_at(place, connection)
            if found is None:
                found = uuid.uuid4().hex
                connection.execute(delete(schema.database))
                connection.execute(insert(schema.database).values(uid=found, place=place))
            return found

    return database.transactions.persist(read)


def _uid_at(place: str, connection: Connection) -> str | None:
    return connection.scalar(select(schema.database.c.uid).where(schema.database.c.place == place))
