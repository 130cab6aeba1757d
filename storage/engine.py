"""From a URL to a database that many processes may use at once."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self

from sqlalchemy import URL, Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import ArgumentError, DatabaseError, InterfaceError, SQLAlchemyError

from storage import schema
from storage.backends.contract import CONNECTIONS
from storage.backends.kinds import backend
from storage.database_errors import database_error, is_no_database, mend, reason
from storage.errors import WRITABLE, NotThereYet, StorageUnavailable, StorageURLError
from storage.transactions import Patience, Result, Transactions
from storage.urls import parse_url, shown_url

if TYPE_CHECKING:
    from optuna.storages import RDBStorage


log = logging.getLogger(__name__)
Given = ParamSpec("Given")
# Alembic's context is one for the whole process, whatever the database.
_ALEMBIC = threading.Lock()
# Whoever looks on waits so long for a database that is away; workers wait longer.
LOOKING_SECONDS = 5.0


class Database:
    """One open database: its engine and its transactions.

    >>> with open_database("sqlite:///hypersearch.db") as database:   # doctest: +SKIP
    ...     with database.transactions.read() as connection: ...
    """

    def __init__(self, url: URL, engine: Engine, patience: Patience | None = None) -> None:
        self.url = url
        self.engine = engine
        self.transactions = Transactions(engine, patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.dispose()


def persistent(
    query: Callable[Concatenate[Database, Given], Result],
) -> Callable[Concatenate[Database, Given], Result]:
    """A reading query that is repeated while the database is away; then it raises
    StorageUnavailable too.
    """

    @wraps(query)
    def read(database: Database, /, *given: Given.args, **named: Given.kwargs) -> Result:
        return database.transactions.persist(lambda repeated: query(database, *given, **named))

    return read


def open_database(url: str, *, patience_seconds: float = LOOKING_SECONDS) -> Database:
    """Opens the database at `url` to read it (and to change the tables that are ours); no Optuna is
    loaded.

    One that is away later is waited for `patience_seconds`.

    Raises:
        StorageURLError: the URL cannot be used.
        StorageUnavailable: there is no database, or it cannot be used as it is.
    """
    parsed = parse_url(url)
    _check(parsed, create=False, write=False)
    return Database(parsed, _engine(parsed, connections=1), Patience(seconds=patience_seconds))


@persistent
def check_still_ours(database: Database) -> None:
    """Raises StorageUnavailable where the database was brought to a newer program's version since
    it was opened.
    """
    with database.transactions.read() as connection:
        _refuse_newer(_read_revision(connection))


def check_place(url: str) -> None:
    """Raises StorageURLError, StorageUnavailable where it can be told without connecting that no
    study can be made.
    """
    parsed = parse_url(url)
    backend(parsed).check(parsed, create=True, write=True)


def open_for_work(
    url: str,
    *,
    create: bool = True,
    write: bool = True,
    connections: int = CONNECTIONS,
    patience: Patience | None = None,
) -> "tuple[Database, RDBStorage]":
    """Opens the database at `url` with Optuna's storage on it, to write there, and made where it is
    not there.

    A server that starts, or has no connection left, is waited for.

    Raises:
        StorageURLError: the URL cannot be used.
        StorageUnavailable: the database cannot be made, or used as it is.
    """
    parsed = parse_url(url)

    def enter() -> "RDBStorage":
        _check(parsed, create=create, write=write)
        return _optunas(parsed, connections)

    rdb = _let_in(parsed, enter, patience or Patience())
    database = Database(parsed, rdb.engine, patience)
    database.transactions.attach(rdb)
    return database, rdb


def _let_in(url: URL, enter: "Callable[[], RDBStorage]", patience: Patience) -> "RDBStorage":
    """Enters where a server that is there lets nobody in for now, within the patience; jitter keeps
    a crowd apart.
    """
    deadline, said = time.monotonic() + patience.seconds, False
    while True:
        try:
            return enter()
        except StorageUnavailable as error:
            refusal = database_error(error.__cause__)
            passes = refusal is not None and backend(url).lets_nobody_in(url, refusal)
            if not passes or time.monotonic() >= deadline:
                raise
            if not said:
                said = True
                log.warning("%s: trying again for %.0f s", error, patience.seconds)
            time.sleep(random.uniform(0, patience.longest_delay_seconds))


def upgrade_database(url: str) -> tuple[str, str]:
    """Brings the tables of an older version, Optuna's and ours, up to date; returns our revision
    before and after.

    Raises:
        StorageURLError: the URL cannot be used.
        StorageUnavailable: there is no database, or it is newer, or not one of ours.
    """
    parsed = parse_url(url)
    backend(parsed).check(parsed, create=False, write=True)
    engine = _engine(parsed, connections=1)
    try:
        _connect(parsed, engine).close()
        with _ALEMBIC, backend(parsed).alone(parsed, engine):
            before = _revision(parsed, engine)
            _refuse_newer(before)
            _make_tables(parsed, engine)
    except (DatabaseError, InterfaceError) as error:
        raise _unusable(parsed, error) from error
    finally:
        engine.dispose()
    return before or "none", schema.HEAD


def _engine(url: URL, connections: int, *, create: bool = False) -> Engine:
    try:
        with _understood(url):
            return create_engine(
                url, **backend(url).engine_options(url, connections, create=create)
            )
    except ModuleNotFoundError as error:
        name = url.get_backend_name()
        raise StorageUnavailable.no_driver(name, name) from error


@contextmanager
def _understood(url: URL) -> Iterator[None]:
    # Inside, a driver meets what the URL says for the first time; each stumbles over options and
    # hosts in its own way.
    try:
        yield
    except (ArgumentError, AttributeError, TypeError, ValueError) as error:
        raise StorageURLError.not_understood(
            shown_url(url), " ".join(str(error).split())
        ) from error


def _connect(url: URL, engine: Engine) -> Connection:
    """The first connection. Raises StorageURLError where its driver does not understand the URL."""
    with _understood(url):
        return engine.connect()


def _optunas(
    url: URL, connections: int = CONNECTIONS, *, make_tables: bool = False
) -> "RDBStorage":
    from optuna.exceptions import OptunaError
    from optuna.storages import RDBStorage

    try:
        return RDBStorage(
            # Optuna runs the URL through str.format.
            url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}"),
            engine_kwargs={**backend(url).engine_options(url, connections), "pool_pre_ping": False},
            # Our `_check` says in our words what Optuna would check here.
            skip_compatibility_check=True,
            skip_table_creation=not make_tables,
        )
    except (SQLAlchemyError, OptunaError, OSError) as error:
        raise _unusable(url, error) from error


def _check(url: URL, *, create: bool, write: bool) -> None:
    """Sees to it that the database is there and that its tables are of this version.

    Raises:
        StorageUnavailable: they are not.
    """
    backend(url).check(url, create=create, write=write)
    engine = _engine(url, 1, create=create)
    try:
        found = _revision(url, engine)
        if found is None and not create:
            raise NotThereYet.empty(shown_url(url))
        if found is None:
            # One process makes the tables: where several do it at once, most of them fail.
            with _ALEMBIC, backend(url).alone(url, engine):
                if _revision(url, engine) is None:
                    _make_tables(url, engine)
                found = _revision(url, engine)
        _refuse_newer(found)
        if found != schema.HEAD:
            raise StorageUnavailable.older("hypersearch's", found or "none", shown_url(url))
    except (DatabaseError, InterfaceError, OSError) as error:
        raise _unusable(url, error) from error
    finally:
        engine.dispose()


def _read_revision(connection: Connection) -> str | None:
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {schema.VERSION_TABLE}"))
    return found


def _refuse_newer(found: str | None) -> None:
    if found is not None and found > schema.HEAD:
        raise StorageUnavailable.newer(found)


def _unusable(url: URL, error: BaseException) -> StorageUnavailable:
    if is_no_database(error):
        return StorageUnavailable.foreign(shown_url(url))
    if url.get_backend_name() == "sqlite":
        return StorageUnavailable.broken(shown_url(url), reason(error), mend(error) or WRITABLE)
    return StorageUnavailable.unreachable(shown_url(url), reason(error))


def _revision(url: URL, engine: Engine) -> str | None:
    """The revision of our tables; `None` where there are none.

    Raises:
        StorageUnavailable: the database holds something else under the names of Optuna's tables.
        StorageURLError: the driver does not understand the URL.
    """
    with _connect(url, engine) as connection:
        inspector = inspect(connection)
        tables = set(inspector.get_table_names())
        if schema.VERSION_TABLE not in tables:
            # Optuna's may be there in part: another process is making them, or died over it.
            optunas = [table for table in schema.metadata.sorted_tables if table.name in tables]
            is_foreign = any(
                set(table.columns.keys())
                - {column["name"] for column in inspector.get_columns(table.name)}
                for table in optunas
            )
            # A server's database may hold other tables too.
            if url.get_backend_name() == "sqlite" and tables and not optunas:
                is_foreign = "version_info" not in tables
            if is_foreign:
                raise StorageUnavailable.foreign(shown_url(url))
            return None
        return _read_revision(connection)


def _make_tables(url: URL, engine: Engine) -> None:
    """Makes Optuna's tables and ours, or brings them up to date."""
    from alembic import command
    from alembic.config import Config

    rdb = _optunas(url, make_tables=True)
    try:
        if (found := rdb.get_current_version()) != rdb.get_head_version():
            if found not in rdb.get_all_versions():
                raise StorageUnavailable.newer(found)
            rdb.upgrade()
    finally:
        rdb.engine.dispose()
    config = Config()
    config.set_main_option(
        "script_location", str(Path(__file__).parent / "migrations").replace("%", "%%")
    )
    with Transactions(engine).write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
