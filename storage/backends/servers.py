"""PostgreSQL, MySQL and MariaDB: servers that many machines reach."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from storage.backends.contract import (
    SET_UP_TIMEOUT_SECONDS,
    EngineOptions,
    session_of_its_own,
)
from storage.database_errors import mysql_number
from storage.errors import StorageUnavailable
from storage.urls import shown_url

CONNECT_TIMEOUT_SECONDS = 5
# A client that froze inside a transaction holds its locks so long; then the server ends it and the
# others go on.
IDLE_IN_TRANSACTION_SECONDS = 10
LOCK_TIMEOUT_SECONDS = 12
STATEMENT_TIMEOUT_SECONDS = 60
# Where only the client can tell that a connection is dead, it waits for half a lease.
ANSWER_TIMEOUT_SECONDS = 30
# These are the letters "hype": a constant that others are unlikely to take.
ADVISORY_LOCK = 0x68797065
# PostgreSQL refuses so whoever comes when all connections are taken: of the server, of a database
# or role, or of all but the reserved ones.
NO_CONNECTION_LEFT = ("too many clients", "too many connections", "connection slots")
# MySQL's numbers of "too many connections" and "server shutdown in progress".
MYSQL_LETS_NOBODY_IN = (1040, 1053)


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

    def lets_nobody_in(self, url: URL, error: DBAPIError) -> bool:
        """By the answer of libpq's PQping, and where that says nothing, by the server's words.

        psycopg has no SQLSTATE of a refused connection, as libpq keeps it to itself. PQping gives
        "cannot connect now" (57P03: it starts, ends or recovers) away as REJECT, and nothing of
        "too many connections" (53300), for which there is no code at all. A server that says this
        in another language than English is not waited for.
        """
        from psycopg import Error, conninfo, pq

        if not isinstance(error.orig, Error) or error.orig.pgconn is None:
            # No server has answered.
            return False
        _, named = url.get_dialect()().create_connect_args(url)
        asked = conninfo.make_conninfo(**{"connect_timeout": CONNECT_TIMEOUT_SECONDS, **named})
        if pq.PGconn.ping(asked.encode()) == pq.Ping.REJECT:
            return True
        return any(words in str(error.orig) for words in NO_CONNECTION_LEFT)

    @contextmanager
    def alone(self, url: URL, engine: Engine) -> Iterator[None]:
        """An advisory lock of a session of its own."""
        with session_of_its_own(url, self.engine_options(url, 1)) as connection:
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
            # MariaDB runs comments marked M!, and skips those for MySQL 8.
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

    def lets_nobody_in(self, url: URL, error: DBAPIError) -> bool:
        """By the number of its error."""
        return mysql_number(error) in MYSQL_LETS_NOBODY_IN

    @contextmanager
    def alone(self, url: URL, engine: Engine) -> Iterator[None]:
        """A named lock of a session of its own, for this database of the server."""
        with session_of_its_own(url, self.engine_options(url, 1)) as connection:
            taken = (
                "SELECT GET_LOCK(CONCAT('hypersearch:', MD5(DATABASE())),"
                f" {SET_UP_TIMEOUT_SECONDS:.0f})"
            )
            if connection.exec_driver_sql(taken).scalar() != 1:
                raise StorageUnavailable.being_set_up(shown_url(url))
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
