"""What each kind of database needs to be safe for many processes: settings of connections, and a
lock to set it up.
"""

import errno
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, TypedDict
from urllib.parse import quote, unquote

from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, Pool

from storage.errors import WRITABLE, NotThereYet, StorageUnavailable, StorageURLError
from storage.text import is_one_line

# A worker has two: one trains and records, one keeps the lease.
CONNECTIONS = 2
CONNECT_TIMEOUT_SECONDS = 5
# Another process that makes the tables is waited for so long.
SET_UP_TIMEOUT_SECONDS = 60.0
# A writer waits this long for another one's transaction; ours last milliseconds, a frozen process
# may hold one longer.
SQLITE_BUSY_TIMEOUT_SECONDS = 60.0
# A client that froze inside a transaction holds its locks so long; then the server ends it and the
# others go on.
IDLE_IN_TRANSACTION_SECONDS = 10
LOCK_TIMEOUT_SECONDS = 12
STATEMENT_TIMEOUT_SECONDS = 60
# where only the client can tell that a connection is dead: half a lease
ANSWER_TIMEOUT_SECONDS = 30


class EngineOptions(TypedDict, total=False):
    """What `sqlalchemy.create_engine` gets beside the URL."""

    creator: Callable[[], sqlite3.Connection]
    connect_args: dict[str, str | int]
    isolation_level: str
    poolclass: type[Pool]
    pool_size: int
    max_overflow: int


class Backend(Protocol):
    """One kind of database."""

    def engine_options(self, url: URL, connections: int, *, create: bool = False) -> EngineOptions:
        """The safe settings; at most `connections` at a time; `create` allows a file to be made."""

    def check(self, url: URL, *, create: bool, write: bool) -> None:
        """Raises StorageUnavailable where it can be told without connecting that this user cannot
        do so.

        And StorageURLError where the URL names what can never be a database.
        """

    def alone(self, url: URL, engine: Engine) -> AbstractContextManager[None]:
        """A context in which no other process sets this database up."""

    def place(self, url: URL, connection: Connection) -> str:
        """Where this database is: a copy is elsewhere, the same database under another URL or from
        another host is not.

        Any user may ask for it. It is ASCII, and names no user and no password.
        """


class SQLite:
    """A file. Transactions that write begin with BEGIN IMMEDIATE (see storage.transactions)."""

    def engine_options(self, url: URL, connections: int, *, create: bool = False) -> EngineOptions:
        """Its connections wait for the writer, lose nothing at power loss, and delete our rows with
        Optuna's.
        """
        path = sqlite_path(url)

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(
                f"{path.as_uri()}?{'mode=rwc' if create else _mode(path)}",
                uri=True,
                timeout=SQLITE_BUSY_TIMEOUT_SECONDS,
                # the driver begins no transactions of its own: the "begin" event does
                isolation_level=None,
                # SQLAlchemy's pool hands a connection to one thread at a time
                check_same_thread=False,
            )
            # WAL with NORMAL may lose acknowledged commits at power loss
            connection.execute("PRAGMA synchronous=FULL")
            # By foreign keys our rows go when Optuna's do.
            connection.execute("PRAGMA foreign_keys=ON")
            return connection

        # How a file is to be read that cannot be written is seen for each transaction anew.
        return (
            {"creator": connect}
            if create or _may_write(path)
            else {"creator": connect, "poolclass": NullPool}
        )

    def check(self, url: URL, *, create: bool, write: bool) -> None:
        """The folder must be there, and the file unless it may be made; whoever writes needs the
        right to, in both.
        """
        path = sqlite_path(url)
        try:
            if path.exists() and not path.is_file():
                raise StorageURLError.no_file(shown(url), f"{path} is a folder or a device")
            if not path.parent.is_dir():
                raise StorageUnavailable.no_folder(str(path.parent), is_there=path.parent.exists())
            if not create and not path.exists():
                raise NotThereYet.no_file(str(path))
            if write and not _may_write(path):
                if path.exists():
                    raise StorageUnavailable.read_only(shown(url))
                raise StorageUnavailable.closed_folder(str(path.parent))
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise StorageURLError.no_file(
                    shown(url), "its name is longer than the system allows"
                ) from None
            raise StorageUnavailable.broken(
                shown(url), error.strerror or str(error), WRITABLE
            ) from None

    @contextmanager
    def alone(self, url: URL, engine: Engine) -> Iterator[None]:
        """A lock file beside the database."""
        try:
            with FileLock(f"{sqlite_path(url)}.lock", timeout=SET_UP_TIMEOUT_SECONDS):
                with engine.connect() as connection:
                    # Readers do not wait for the writer; it stays with the file.
                    connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                yield
        except Timeout:
            raise StorageUnavailable.being_set_up(shown(url)) from None

    def place(self, url: URL, connection: Connection) -> str:
        """The file by its number in its file system, which a file that is moved keeps and none of
        its copies has.
        """
        file = sqlite_path(url).resolve()
        status = file.stat()
        # st_dev may be another one after a restart
        system = status.st_dev if sys.platform == "win32" else os.statvfs(file).f_fsid
        # Some network file systems have no number; then the path must do.
        return f"file {status.st_ino} of file system {system or ascii(str(file))}"


def _mode(path: Path) -> str:
    """How to open a file that is there: https://www.sqlite.org/uri.html.

    Who may not write keeps to the files that a writer has made beside it. Where there are none,
    SQLite would make them, in a folder where that cannot be, or where the writer then could not
    write them; so the file is read alone, which is right as long as it holds all that was
    committed.
    """
    wal, shm, journal = (
        path.with_name(f"{path.name}-{ending}") for ending in ("wal", "shm", "journal")
    )
    is_shared = wal.exists() and shm.exists()
    is_whole = not any(_size(each) for each in (wal, journal))
    return "mode=rw" if _may_write(path) or is_shared or not is_whole else "mode=ro&immutable=1"


def _size(path: Path) -> int:
    # A writer that closes the database takes away what it has made beside it, whoever looks at
    # that.
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _may_write(path: Path) -> bool:
    # Beside the file SQLite keeps others while it is open.
    return os.access(path.parent, os.W_OK | os.X_OK) and (
        not path.exists() or os.access(path, os.W_OK)
    )


class PostgreSQL:
    """Over psycopg 3."""

    def engine_options(self, url: URL, connections: int, *, create: bool = False) -> EngineOptions:
        """Nobody waits for ever: for a server that is gone, a client that froze, or a lock."""
        session = {
            "statement_timeout": STATEMENT_TIMEOUT_SECONDS * 1000,
            "lock_timeout": LOCK_TIMEOUT_SECONDS * 1000,
            "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_SECONDS * 1000,
            "timezone": "UTC",
        }
        connect_args: dict[str, str | int] = {
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
            "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
            "application_name": "hypersearch",
        }
        # What the user's URL says wins.
        connect_args = {
            name: value for name, value in connect_args.items() if name not in url.query
        }
        return {
            "connect_args": connect_args,
            "isolation_level": "READ COMMITTED",
            "pool_size": connections,
            "max_overflow": 0,
        }

    def check(self, url: URL, *, create: bool, write: bool) -> None:
        """Only the server knows."""

    @contextmanager
    def alone(self, url: URL, engine: Engine) -> Iterator[None]:
        """An advisory lock of a session of its own."""
        with _session_of_its_own(url) as connection:
            connection.exec_driver_sql(f"SET lock_timeout = '{SET_UP_TIMEOUT_SECONDS:.0f}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({ADVISORY_LOCK})")
            yield

    def place(self, url: URL, connection: Connection) -> str:
        """The cluster by the identifier that it was made with, and the database's number in it.

        A copy of all files of a cluster has both; recovered from a backup or promoted, it is on
        another timeline.
        """
        (database,) = connection.exec_driver_sql(
            "SELECT oid FROM pg_database WHERE datname = current_database()"
        ).one()
        asked = "has_function_privilege('pg_control_system()', 'execute')"
        asked += " AND has_function_privilege('pg_control_checkpoint()', 'execute')"
        if not connection.exec_driver_sql(f"SELECT {asked}").scalar():
            return f"database {database} of {url.host!a}:{url.port or ''}"
        identifier, timeline = connection.exec_driver_sql(
            "SELECT system_identifier, timeline_id FROM pg_control_system(),"
            " pg_control_checkpoint()"
        ).one()
        return f"database {database} of cluster {identifier}, timeline {timeline}"


class MySQL:
    """MySQL and MariaDB over PyMySQL. Always as mysql+pymysql: under mariadb:// Optuna loses its
    upsert.
    """

    def engine_options(self, url: URL, connections: int, *, create: bool = False) -> EngineOptions:
        """As for PostgreSQL; MySQL has no timeout for an idle transaction, so there an idle session
        ends instead.
        """
        idle = IDLE_IN_TRANSACTION_SECONDS
        init_command = (
            f"SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = {LOCK_TIMEOUT_SECONDS} "
            # MariaDB runs comments marked M!, and skips those for MySQL 8
            f"/*M!100300 , idle_transaction_timeout = {idle}, max_statement_time ="
            f" {ANSWER_TIMEOUT_SECONDS} */ /*!80000 , wait_timeout = {idle} */"
        )
        connect_args: dict[str, str | int] = {
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "read_timeout": ANSWER_TIMEOUT_SECONDS,
            "write_timeout": ANSWER_TIMEOUT_SECONDS,
            "charset": "utf8mb4",
            "init_command": init_command,
        }
        connect_args = {
            name: value for name, value in connect_args.items() if name not in url.query
        }
        return {
            "connect_args": connect_args,
            "isolation_level": "READ COMMITTED",
            "pool_size": connections,
            "max_overflow": 0,
        }

    def check(self, url: URL, *, create: bool, write: bool) -> None:
        """Only the server knows."""

    @contextmanager
    def alone(self, url: URL, engine: Engine) -> Iterator[None]:
        """A named lock of a session of its own, for this database of the server."""
        with _session_of_its_own(url) as connection:
            taken = (
                "SELECT GET_LOCK(CONCAT('hypersearch:', MD5(DATABASE())),"
                f" {SET_UP_TIMEOUT_SECONDS:.0f})"
            )
            if connection.exec_driver_sql(taken).scalar() != 1:
                raise StorageUnavailable.being_set_up(shown(url))
            yield

    def place(self, url: URL, connection: Connection) -> str:
        """The server by its uuid (MariaDB's, which has none, by host, port and folder), and the
        database's name.
        """
        names = "'server_uuid', 'hostname', 'port', 'datadir'"
        rows = connection.exec_driver_sql(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})")
        found: dict[str, str] = {name.lower(): value for name, value in rows}
        server = (
            found.get("server_uuid") or f"{found['hostname']}:{found['port']}{found['datadir']}"
        )
        name = connection.exec_driver_sql("SELECT DATABASE()").scalar()
        return f"database {name!a} of server {server!a}"


BACKENDS: dict[str, Backend] = {"sqlite": SQLite(), "postgresql": PostgreSQL(), "mysql": MySQL()}
DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg", "mysql": "pymysql"}
OTHER_NAMES = {
    "postgres": "postgresql",
    "mariadb": "mysql",
}  # of backends, in URLs that people copy
# These are the letters "hype": a constant that others are unlikely to take.
ADVISORY_LOCK = 0x68797065
# In the name of a file: what a URL, or a shell that is given it, would not take as it stands.
_READ_OTHERWISE = re.compile(r"""[%?\s'"\\`$&;|<>()*!#\[\]{}]""")


@contextmanager
def _session_of_its_own(url: URL) -> Iterator[Connection]:
    # A session's lock must neither go back to the pool nor sit in a transaction, which the server
    # would end.
    options = backend(url).engine_options(url, connections=1)
    engine = create_engine(
        url, poolclass=NullPool, connect_args=options["connect_args"], isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        yield connection


def backend(url: URL) -> Backend:
    """The kind of database that `parse_url` has accepted."""
    return BACKENDS[url.get_backend_name()]


def parse_url(text: str) -> URL:
    """Reads a storage URL; blanks around it, as of an environment file with other ends of lines,
    are no part of it.

    Raises:
        StorageURLError: it is no URL, or of a database or driver that is not supported.
    """
    text = text.strip()
    if not is_one_line(unquote(text, errors="surrogateescape")):
        raise StorageURLError.unprintable(text)
    try:
        url = make_url(text)
        name, _, driver = url.drivername.partition("+")
    except (ArgumentError, ValueError):
        raise StorageURLError.unreadable(text) from None
    name = OTHER_NAMES.get(name, name)
    if name not in BACKENDS:
        raise StorageURLError.unsupported(name)
    if driver not in ("", DRIVERS[name]):
        raise StorageURLError.other_driver(
            url.drivername, f"{name}+{DRIVERS[name]}" if name != "sqlite" else name
        )
    if name == "sqlite":
        _check_file(url, text)
        return url.set(drivername=name)
    _check_server(url, text)
    return url.set(drivername=f"{name}+{DRIVERS[name]}")


def _check_file(url: URL, text: str) -> None:
    """Raises StorageURLError where another file, or none, would be opened than whoever wrote the
    URL means.
    """
    if "?" in text:
        raise StorageURLError.options_of_a_file(text)
    if (url.username, url.host, url.port) != (None, None, None):
        raise StorageURLError.host_of_a_file(text)
    file = url.database
    if file in (None, "", ":memory:"):
        raise StorageURLError.in_memory()
    if file.endswith("/"):
        raise StorageURLError.no_file(shown(url), "it ends with '/', as a folder")
    if file.startswith("~") and "/" in file:
        raise StorageURLError.home(shown(url))


def _check_server(url: URL, text: str) -> None:
    """Raises StorageURLError where a database is missing, or a password may stand where it would be
    shown.
    """
    place = text.partition("@")[2] if url.username is not None else text
    if "@" in place.partition("?")[0]:
        raise StorageURLError.at_sign(text)
    if url.port is not None and not 0 < url.port < 2**16:
        raise StorageURLError.unreadable(text)
    if not url.database:
        raise StorageURLError.no_database(shown(url))


def sqlite_path(url: URL) -> Path:
    """The file of a SQLite URL."""
    return Path(url.database or "").absolute()


def shown(url: URL) -> str:
    """The URL as a user may see it, and may give it again: without a password, also not one among
    its options.
    """
    if url.get_backend_name() == "sqlite":
        path = _READ_OTHERWISE.sub(lambda found: quote(found[0], safe=""), url.database or "")
        return f"sqlite:///{path}"
    return url.set(query={}).render_as_string(hide_password=True)
