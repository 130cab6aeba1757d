"""From a URL to a database that many processes may use at once."""

import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from filelock import FileLock
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import BigInteger

from storage import schema
from storage.errors import StorageUnavailable, StorageURLError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy.orm import Session

# A writer waits this long for another one's transaction; ours last milliseconds, a frozen process may hold one longer.
SQLITE_BUSY_TIMEOUT_SECONDS = 60.0


class now_ms(FunctionElement[int]):  # noqa: N801 - named as the SQL function that it stands for
    """UTC milliseconds since 1970 by the database's clock, the one clock that all workers share."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_ms, "sqlite")
def _now_ms_sqlite(element: now_ms, compiler: SQLCompiler, **_: object) -> str:
    # 2440587.5 is the Julian day of 1970-01-01 (https://www.sqlite.org/lang_datefunc.html)
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"


Step = Callable[[Connection], None]


@dataclass
class Writing:
    """What the writing transactions of one block carry, and whether the last one was committed."""

    guard: Step | None = None
    extra: Step | None = None
    committed: bool = False


class Transactions:
    """What the transactions of one engine, ours and Optuna's, are for: reading, or writing with a guard.

    Optuna's own transactions run through `scoped_session`; inside `writing(guard, extra)` the guard is the first thing
    they do and `extra` the last, so that our rows and Optuna's change together or not at all.

    >>> with transactions.writing(guard=lease_is_held, extra=insert_metrics):   # doctest: +SKIP
    ...     optuna_storage.set_trial_intermediate_value(trial_id, epoch, value)
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._current: ContextVar[Writing | None] = ContextVar("writing", default=None)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "begin", self._begin_sqlite)

    def _begin_sqlite(self, connection: Connection) -> None:
        # A deferred transaction that turns into a writing one fails at once where another one writes: it cannot wait.
        connection.exec_driver_sql("BEGIN" if self._current.get() is None else "BEGIN IMMEDIATE")

    def attach(self, rdb: "RDBStorage") -> None:
        """Lets guards and extras run inside the transactions of Optuna's storage, which uses the same engine."""
        event.listen(rdb.scoped_session, "after_begin", self._after_begin)
        event.listen(rdb.scoped_session, "before_commit", self._before_commit)
        event.listen(rdb.scoped_session, "after_commit", self._after_commit)

    def _after_begin(self, session: "Session", transaction: object, connection: Connection) -> None:
        if (writing := self._current.get()) is not None and writing.guard is not None:
            writing.guard(connection)

    def _before_commit(self, session: "Session") -> None:
        if (writing := self._current.get()) is not None and writing.extra is not None:
            session.flush()
            writing.extra(session.connection())

    def _after_commit(self, session: "Session") -> None:
        if (writing := self._current.get()) is not None:
            writing.committed = True

    @contextmanager
    def writing(self, guard: Step | None = None, extra: Step | None = None) -> Iterator[Writing]:
        """Transactions inside this block may write; in Optuna's, `guard` raises to refuse them."""
        current = Writing(guard, extra)
        token = self._current.set(current)
        try:
            yield current
        finally:
            self._current.reset(token)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One writing transaction of ours."""
        with self.writing(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One reading transaction of ours: a consistent view."""
        with self._engine.begin() as connection:
            yield connection


def parse_url(url: str) -> URL:
    """Reads a storage URL.

    Raises:
        StorageURLError: it is no URL, or of a database that is not supported.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StorageURLError.unreadable(url) from None
    if parsed.get_backend_name() != "sqlite":
        raise StorageURLError.unsupported(parsed.get_backend_name())
    if parsed.database in (None, "", ":memory:"):
        raise StorageURLError.in_memory()
    return parsed


class Database:
    """One open database: its engine and its transactions.

    >>> with open_database("sqlite:///hypersearch.db") as database:   # doctest: +SKIP
    ...     with database.transactions.read() as connection: ...
    """

    def __init__(self, url: URL, engine: Engine) -> None:
        self.url = url
        self.engine = engine
        self.transactions = Transactions(engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.dispose()


def open_database(url: str) -> Database:
    """Opens the database at `url` to read it (and to change the tables that are ours); no Optuna is loaded.

    Raises:
        StorageURLError: the URL cannot be used.
        StorageUnavailable: there is no database, or it cannot be used as it is.
    """
    parsed = parse_url(url)
    _prepare(parsed, create=False)
    return Database(parsed, create_engine(parsed, creator=_connector(parsed)))


def open_for_work(url: str) -> "tuple[Database, RDBStorage]":
    """Opens the database at `url`, made where it is not there, with Optuna's storage on the same engine.

    Raises:
        StorageURLError: the URL cannot be used.
        StorageUnavailable: the database cannot be made, or used as it is.
    """
    parsed = parse_url(url)
    _prepare(parsed, create=True)
    rdb = _optunas(parsed, skip_table_creation=True)
    database = Database(parsed, rdb.engine)
    database.transactions.attach(rdb)
    return database, rdb


def _optunas(url: URL, *, skip_table_creation: bool) -> "RDBStorage":
    from optuna.storages import RDBStorage

    return RDBStorage(
        # Optuna runs the URL through str.format
        url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}"),
        engine_kwargs={"creator": _connector(url)},
        skip_table_creation=skip_table_creation,
    )


def _path(url: URL) -> Path:
    return Path(url.database or "").absolute()


def _connector(url: URL, mode: str = "rw") -> Callable[[], sqlite3.Connection]:
    """How to connect to a SQLite file; `mode` "rwc" creates it (https://www.sqlite.org/uri.html)."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{_path(url).as_uri()}?mode={mode}",
            uri=True,
            timeout=SQLITE_BUSY_TIMEOUT_SECONDS,
            isolation_level=None,  # the driver begins no transactions of its own: the "begin" event does
            check_same_thread=False,  # SQLAlchemy's pool hands a connection to one thread at a time
        )
        connection.execute("PRAGMA synchronous=FULL")  # WAL with NORMAL may lose acknowledged commits at power loss
        connection.execute("PRAGMA foreign_keys=ON")  # our rows go when Optuna's do
        return connection

    return connect


def _prepare(url: URL, *, create: bool) -> None:
    """Sees to it that the file is there and that its tables are up to date."""
    path = _path(url)
    if not path.parent.is_dir():
        raise StorageUnavailable.no_folder(str(path.parent))
    if not create and not path.exists():
        raise StorageUnavailable.no_file(str(path))
    engine = create_engine(url, creator=_connector(url, "rwc" if create else "rw"))
    try:
        if _revision(engine) == schema.HEAD:
            return
        # One process makes the tables: where several do it at once, most of them fail.
        with FileLock(f"{path}.lock", timeout=SQLITE_BUSY_TIMEOUT_SECONDS):
            if _revision(engine) != schema.HEAD:
                _make_tables(url, engine)
    except DatabaseError as error:
        if "not a database" in str(error.orig):
            raise StorageUnavailable.foreign(str(path)) from error
        raise StorageUnavailable.broken(url.render_as_string(), str(error.orig)) from error
    except OSError as error:
        raise StorageUnavailable.broken(url.render_as_string(), str(error)) from error
    finally:
        engine.dispose()


def _revision(engine: Engine) -> str | None:
    """The revision of our tables; `None` where there are none.

    Raises:
        StorageUnavailable: it is newer than this program, or the file holds something else.
    """
    with engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        if schema.VERSION_TABLE not in tables:
            if tables and "studies" not in tables:
                raise StorageUnavailable.foreign(engine.url.database or "")
            return None
        found: str | None = connection.scalar(text(f"SELECT version_num FROM {schema.VERSION_TABLE}"))
    if found is not None and found > schema.HEAD:
        raise StorageUnavailable.newer(found)
    return found


def _make_tables(url: URL, engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")  # readers do not wait for the writer; stays with the file
    _optunas(url, skip_table_creation=False).engine.dispose()
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.exec_driver_sql("COMMIT")


def this_machine() -> str:
    """The name of this machine, as leases and attempts record it."""
    return socket.gethostname()
