"""Databases that share an artifact root: each is known by where it is, and none removes what
another one wants.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from sqlalchemy import create_engine, select, text

from search.machine.this_machine import Files
from search.spec.request import Request
from search.studies import control
from search.studies.joining import create_or_join, join
from search.studies.this_worker import this_worker
from search.worker.artifacts import IncumbentArtifacts
from search.worker.loop import workplace
from storage import schema
from storage.artifact_store import ArtifactStore
from storage.artifacts import id_of, open_artifact_store, put
from storage.engine import open_database, open_for_work
from storage.errors import ArtifactsUnavailable
from storage.hosts import this_host
from storage.leases.taking import TrialLeases
from storage.owners import ALL, Owner, read_uid
from storage.studies import find_study
from storage.study_control import delete_study
from storage.urls import parse_url, sqlite_path

MODEL = b"the weights"
MODEL_ID = id_of(MODEL)
BACKENDS = ("sqlite", "postgresql", "mariadb")


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for artifacts that databases share."""
    return (
        str(tmp_path / "artifacts")
        if request.param == "folder"
        else request.getfixturevalue("bucket")
    )


def request(study: str) -> Request:
    return Request({"study": {"name": study}, "data": {"dataset": "synthetic"}}, {}, "test")


def make_study(url: str, name: str = "s") -> None:
    create_or_join(url, request(name))


@contextmanager
def owner_of(url: str, store: ArtifactStore) -> Iterator[Owner]:
    with open_database(url) as database:
        yield Owner(database, store)


def name_it(url: str, study: str, content: bytes = MODEL) -> None:
    """A complete trial of the study has this artifact, wherever it may be."""
    database, rdb = open_for_work(url)
    with database:
        leases = TrialLeases(database, rdb, this_worker(this_host(), "-", 0))
        held = leases.acquire(find_study(database, study))
        leases.finish(
            held, "complete", value=0.5, system_attributes={f"artifacts:{id_of(content)}": "{}"}
        )


def keep(url: str, root: str, study: str = "s", content: bytes = MODEL) -> None:
    """A new study with a trial that has an artifact, as a worker keeps it."""
    make_study(url, study)
    with owner_of(url, open_artifact_store(root)) as owner:
        owner.put({"model": content})
        name_it(url, study, content)
        owner.put({"model": content})


def delete(url: str, root: str, study: str = "s") -> None:
    control.delete(url, study, Files(root, Path("no checkpoints")))


def copy_of(url: str, new_database: Callable[[str], str]) -> str:
    """A copy of the database beside it, as a backup that was put back there."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        copy = new_database("sqlite")
        shutil.copy2(sqlite_path(parsed), sqlite_path(parse_url(copy)))
        return copy
    name, copied = parsed.database, f"{parsed.database}_copy"
    engine = create_engine(
        parsed.set(database="postgres" if "postgres" in url else name), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"CREATE DATABASE {copied} TEMPLATE {name}"))
        else:
            connection.execute(text(f"CREATE DATABASE {copied}"))
            for table in connection.scalars(text("SHOW TABLES")).all():
                connection.execute(text(f"CREATE TABLE {copied}.{table} LIKE {name}.{table}"))
                connection.execute(
                    text(f"INSERT INTO {copied}.{table} SELECT * FROM {name}.{table}")
                )
    engine.dispose()
    return parsed.set(database=copied).render_as_string(hide_password=False)


@pytest.fixture
def two(new_database: Callable[[str], str]) -> tuple[str, str]:
    """Two databases."""
    return new_database("sqlite"), new_database("sqlite")


def there(store: ArtifactStore) -> tuple[bool, set[str]]:
    """Whether the model is there, and whose marks are."""
    return store.holds(MODEL_ID), set(store.owners(MODEL_ID))


GONE: tuple[bool, set[str]] = (False, set())


def uid_of(url: str) -> str:
    with open_database(url) as database:
        return read_uid(database)


def test_a_deleted_study_takes_no_artifact_that_another_database_has(
    root: str, two: tuple[str, str]
) -> None:
    first, second = two
    for url in two:
        keep(url, root)
    store = open_artifact_store(root)
    assert store.owners(MODEL_ID) == {uid_of(first), uid_of(second)}
    delete(first, root)
    assert there(store) == (True, {uid_of(second)})
    delete(second, root)
    assert there(store) == GONE


def test_a_deleted_study_takes_no_artifact_that_another_study_of_its_database_has(
    root: str, two: tuple[str, str]
) -> None:
    url, _ = two
    for study in ("s", "t"):
        keep(url, root, study)
    store = open_artifact_store(root)
    delete(url, root)
    assert there(store) == (True, {uid_of(url)})
    delete(url, root, "t")
    assert there(store) == GONE


def test_databases_of_one_server_share_the_folder_of_their_user(
    new_database: Callable[[str], str], tmp_path: Path
) -> None:
    first, second = new_database("postgresql"), new_database("postgresql")
    for url in (first, second):
        keep(url, str(tmp_path))
    delete(first, str(tmp_path))
    assert (tmp_path / MODEL_ID).read_bytes() == MODEL


def test_a_copy_of_a_database_is_another_owner_once_it_is_opened(
    url: str, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    files = Files(str(tmp_path / "artifacts"), tmp_path / "checkpoints")
    store = open_artifact_store(files.artifact_root)
    keep(url, files.artifact_root)
    copy = copy_of(url, new_database)
    database, rdb = open_for_work(copy)
    with database, workplace(database, rdb, this_worker(this_host(), "-", 0), files):
        pass
    assert uid_of(copy) != uid_of(url)
    assert store.owners(MODEL_ID) == {uid_of(copy), uid_of(url)}
    delete(url, files.artifact_root)
    assert there(store) == (True, {uid_of(copy)})


def test_a_study_deleted_in_a_copy_keeps_its_artifacts_in_the_original(
    url: str, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    store = open_artifact_store(str(tmp_path))
    keep(url, str(tmp_path))
    delete(copy_of(url, new_database), str(tmp_path))
    assert there(store) == (True, {uid_of(url)})


def test_a_database_keeps_its_uid_under_every_url(url: str, tmp_path: Path) -> None:
    open_for_work(url)[0].engine.dispose()
    uid = uid_of(url)
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        assert uid_of(url.replace("127.0.0.1", "localhost")) == uid
        return
    (tmp_path / "link.db").symlink_to(sqlite_path(parsed))
    assert uid_of(f"sqlite:///{tmp_path}/link.db") == uid
    (tmp_path / "link.db").unlink()
    for suffix in ("", "-wal", "-shm"):
        if (file := Path(f"{sqlite_path(parsed)}{suffix}")).exists():
            file.rename(f"{tmp_path}/moved.db{suffix}")
    assert uid_of(f"sqlite:///{tmp_path}/moved.db") == uid


def test_a_file_system_without_a_number_is_known_by_the_path(
    two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_for_work(two[0])[0].engine.dispose()
    statvfs = os.statvfs

    class Unnumbered:
        f_fsid = 0

    assert statvfs(sqlite_path(parse_url(two[0]))).f_fsid != 0
    monkeypatch.setattr(os, "statvfs", lambda path: Unnumbered)
    with open_database(two[0]) as database, database.transactions.read() as connection:
        read_uid(database)
        file = sqlite_path(database.url).resolve()
        assert connection.scalars(select(schema.database.c.place)).all() == [
            f"file {file.stat().st_ino} of file system {str(file)!r}"
        ]


@pytest.mark.parametrize("may_read_control_data", [True, False])
def test_an_ordinary_role_of_postgresql_tells_databases_apart(
    may_read_control_data: bool, new_database: Callable[[str], str]
) -> None:
    first, second = new_database("postgresql"), new_database("postgresql")
    role = f"plain_{may_read_control_data}".lower()
    engine = create_engine(parse_url(first))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
    engine.dispose()
    for url in (first, second):
        open_for_work(url)[0].engine.dispose()
        engine = create_engine(parse_url(url))
        with engine.begin() as connection:
            connection.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"))
            if not may_read_control_data:
                connection.execute(
                    text("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
                )
        engine.dispose()
    plain = [url.replace("postgres@", f"{role}@") for url in (first, second)]
    assert uid_of(plain[0]) == uid_of(plain[0]) != uid_of(plain[1])
    if may_read_control_data:
        assert uid_of(plain[0]) == uid_of(first)


def test_workers_that_find_a_database_at_once_agree_on_its_uid(url: str) -> None:
    open_for_work(url)[0].engine.dispose()
    with ThreadPoolExecutor(6) as pool:
        uids = set(pool.map(uid_of, [url] * 6))
    with open_database(url) as database, database.transactions.read() as connection:
        assert uids == set(connection.scalars(select(schema.database.c.uid)))
    assert len(uids) == 1


def test_the_first_worker_on_a_full_server_needs_no_second_connection(
    new_database: Callable[[str], str],
) -> None:
    url = new_database("postgresql")
    open_for_work(url)[0].engine.dispose()
    engine = create_engine(parse_url(url))
    with engine.begin() as connection:
        connection.execute(text("CREATE ROLE narrow LOGIN CONNECTION LIMIT 1"))
        connection.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA public TO narrow"))
    engine.dispose()
    with open_database(url.replace("postgres@", "narrow@"), patience_seconds=2.0) as database:
        assert read_uid(database) == uid_of(url)


class Interrupted:
    """A store that does something else before one of the calls to it."""

    def __init__(self, store: ArtifactStore, at: int, other: Callable[[], None]) -> None:
        self._store = store
        self.root = store.root
        self.at = at
        self._other = other

    def _count(self) -> ArtifactStore:
        self.at -= 1
        if self.at == -1:
            self._other()
        return self._store

    def holds(self, artifact_id: str) -> bool:
        return self._count().holds(artifact_id)

    def open_reader(self, artifact_id: str) -> BinaryIO:
        return self._count().open_reader(artifact_id)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        self._count().write(artifact_id, content_body)

    def remove(self, artifact_id: str) -> None:
        self._count().remove(artifact_id)

    def mark(self, artifact_id: str, owner: str) -> None:
        self._count().mark(artifact_id, owner)

    def unmark(self, artifact_id: str, owner: str) -> None:
        self._count().unmark(artifact_id, owner)

    def owners(self, artifact_id: str) -> frozenset[str]:
        return self._count().owners(artifact_id)


def every_interruption(
    store: ArtifactStore,
    prepare: Callable[[], None],
    act: Callable[[ArtifactStore], None],
    other: Callable[[], None],
) -> Iterator[int]:
    """Yields once for each call of `act` to the store, when `other` was done before it, and once
    for it after all.
    """
    for at in range(100):
        prepare()
        interrupted = Interrupted(store, at, other)
        act(interrupted)
        if interrupted.at >= 0:
            other()
        yield at
        if interrupted.at >= 0:
            assert at >= 4
            return


class Side:
    """A database that stays open, beside others in one root."""

    def __init__(self, url: str) -> None:
        open_for_work(url)[0].engine.dispose()
        self.url = url
        self.database, self.rdb = open_for_work(url)
        self._leases = TrialLeases(self.database, self.rdb, this_worker(this_host(), "-", 0))

    def keep(self, store: ArtifactStore, study: str) -> None:
        """As a worker keeps the artifact of a trial, of a new study."""
        join(self.database, self.rdb, request(study))
        owner = Owner(self.database, store)
        owner.put({"model": MODEL})
        held = self._leases.acquire(find_study(self.database, study))
        self._leases.finish(
            held, "complete", value=0.5, system_attributes={f"artifacts:{MODEL_ID}": "{}"}
        )
        owner.put({"model": MODEL})

    def delete(self, store: ArtifactStore, study: str) -> None:
        """As `hypersearch delete` does."""
        owner = Owner(self.database, store)
        delete_study(self.database, self.rdb, find_study(self.database, study))
        owner.release([MODEL_ID])


@pytest.fixture(params=[False, True], ids=["two databases", "two studies of one"])
def sides(request: pytest.FixtureRequest, two: tuple[str, str]) -> Iterator[tuple[Side, Side]]:
    """Two that want the same artifact."""
    first = Side(two[0])
    second = first if request.param else Side(two[1])
    yield first, second
    for side in (first, second):
        side.database.engine.dispose()


def test_a_deletion_takes_nothing_that_is_kept_meanwhile(
    sides: tuple[Side, Side], tmp_path: Path
) -> None:
    first, second = sides
    store = open_artifact_store(str(tmp_path))
    rounds = every_interruption(
        store,
        prepare=lambda: first.keep(store, "deleted"),
        act=lambda interrupted: first.delete(interrupted, "deleted"),
        other=lambda: second.keep(store, "kept"),
    )
    for _ in rounds:
        assert there(store) == (True, {read_uid(second.database)})
        second.delete(store, "kept")
        assert there(store) == GONE


def test_what_is_kept_loses_nothing_to_a_deletion_meanwhile(
    sides: tuple[Side, Side], tmp_path: Path
) -> None:
    first, second = sides
    store = open_artifact_store(str(tmp_path))
    rounds = every_interruption(
        store,
        prepare=lambda: second.keep(store, "deleted"),
        act=lambda interrupted: first.keep(interrupted, "kept"),
        other=lambda: second.delete(store, "deleted"),
    )
    for _ in rounds:
        assert there(store) == (True, {read_uid(first.database)})
        first.delete(store, "kept")
        assert there(store) == GONE


def test_what_nobody_has_marked_is_never_removed(two: tuple[str, str], tmp_path: Path) -> None:
    url, _ = two
    store = open_artifact_store(str(tmp_path))
    keep(url, str(tmp_path))
    with owner_of(url, store) as owner:
        store.unmark(MODEL_ID, owner.uid)
    delete(url, str(tmp_path))
    assert (tmp_path / MODEL_ID).read_bytes() == MODEL


def test_a_database_marks_in_each_root_what_its_trials_named_before(
    two: tuple[str, str], tmp_path: Path
) -> None:
    url, _ = two
    make_study(url)
    for content in (MODEL, b"lost"):
        name_it(url, "s", content)
    for folder in (tmp_path / "a", tmp_path / "b"):
        store = open_artifact_store(str(folder))
        put(store, {"model": MODEL, "another's": b"unknown"})
        with owner_of(url, store) as owner:
            marked = {
                each: store.owners(each)
                for each in (MODEL_ID, id_of(b"lost"), id_of(b"unknown"), ALL)
            }
        assert marked == {
            MODEL_ID: {owner.uid},
            id_of(b"lost"): frozenset(),
            id_of(b"unknown"): frozenset(),
            ALL: {owner.uid},
        }


def test_a_database_without_artifacts_asks_nothing_of_a_root(
    two: tuple[str, str], tmp_path: Path
) -> None:
    make_study(two[0])
    with owner_of(two[0], open_artifact_store(str(tmp_path / "file" / "artifacts"))):
        assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_no_artifacts_is_neither_marked_nor_removed(
    two: tuple[str, str], tmp_path: Path
) -> None:
    url, _ = two
    root = tmp_path / "artifacts"
    keep(url, str(root))
    (tmp_path / "mine").touch()
    database, rdb = open_for_work(url)
    mark = f"{MODEL_ID}.owners/{uid_of(url)}"
    with database:
        leases = TrialLeases(database, rdb, this_worker(this_host(), "-", 0))
        held = leases.acquire(find_study(database, "s"))
        names = {f"artifacts:{each}": "{}" for each in ("../mine", mark, "model")}
        leases.finish(held, "complete", value=0.5, system_attributes=names)
    keep(url, str(root), "t")
    delete(url, str(root))
    assert sorted(
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()
    ) == sorted(
        [
            "mine",
            f"artifacts/{MODEL_ID}",
            f"artifacts/{mark}",
            f"artifacts/all.owners/{uid_of(url)}",
        ]
    )


def test_a_root_out_of_reach_keeps_no_study_from_its_deletion(
    two: tuple[str, str], tmp_path: Path
) -> None:
    url, _ = two
    make_study(url)
    name_it(url, "s")
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactsUnavailable) as told:
        delete(url, f"{tmp_path}/file/artifacts")
    assert (
        str(told.value)
        == f"artifacts in {tmp_path}/file/artifacts cannot be stored or read: Not a directory"
    )
    with open_database(url) as database, database.transactions.read() as connection:
        assert connection.scalars(select(schema.study.c.uid)).all() == []


def test_a_file_that_is_gone_already_is_no_fault(two: tuple[str, str], tmp_path: Path) -> None:
    keep(two[0], str(tmp_path))
    (tmp_path / MODEL_ID).unlink()
    delete(two[0], str(tmp_path))
    assert not (tmp_path / f"{MODEL_ID}.owners").exists()


def test_a_worker_that_cannot_mark_says_so_and_works(
    two: tuple[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url, _ = two
    make_study(url)
    name_it(url, "s")
    (tmp_path / "file").touch()
    root = f"{tmp_path}/file/artifacts"
    with open_database(url) as database:
        artifacts = IncumbentArtifacts(database, open_artifact_store(root))
        artifacts.claim()
        artifacts.claim()
    assert caplog.messages == [
        f"artifacts in {root} cannot be stored or read: Not a directory; trials go on without"
        " artifacts"
    ]
