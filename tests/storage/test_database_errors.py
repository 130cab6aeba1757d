"""Which errors of the drivers pass, so that the transaction is repeated, and which servers let
nobody in for now.
"""

import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors as postgresql
from pymysql import err as mysql
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError

from lab.servers import PostgreSQLServer
from storage.backends.kinds import backend
from storage.database_errors import is_passing
from storage.engine import open_for_work
from storage.errors import StorageUnavailable
from storage.transactions import Patience
from storage.urls import parse_url

IMPATIENT = Patience(seconds=0.2, longest_delay_seconds=0.1)


def of_mysql(kind: type[DBAPIError], number: int, sqlstate: str | None) -> DBAPIError:
    error = mysql.OperationalError(number, "said")
    # PyMySQL gives it from version 1.2 on.
    error.sqlstate = sqlstate
    return kind("SELECT 1", None, error)


def of_sqlite(code: int) -> DBAPIError:
    error = sqlite3.OperationalError("said")
    error.sqlite_errorcode = code
    return OperationalError("SELECT 1", None, error)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        # The number 1205 is a lock wait timeout.
        (of_mysql(OperationalError, 1205, "HY000"), True),
        (of_mysql(OperationalError, 1205, None), True),
        # The number 1213 is a deadlock.
        (of_mysql(OperationalError, 1213, "40001"), True),
        # The number 2013 is a lost connection.
        (of_mysql(OperationalError, 2013, None), True),
        # The number 1021 is a full disk.
        (of_mysql(OperationalError, 1021, "HY000"), True),
        # The connection is closed.
        (of_mysql(InterfaceError, 0, None), True),
        # The number 1045 is a wrong password.
        (of_mysql(OperationalError, 1045, "28000"), False),
        # The number 1146 is a missing table.
        (of_mysql(ProgrammingError, 1146, "42S02"), False),
        (OperationalError("SELECT 1", None, postgresql.DeadlockDetected()), True),
        (OperationalError("SELECT 1", None, postgresql.LockNotAvailable()), True),
        (OperationalError("SELECT 1", None, postgresql.SerializationFailure()), True),
        (
            OperationalError("SELECT 1", None, postgresql.OperationalError("connection refused")),
            True,
        ),
        (ProgrammingError("SELECT 1", None, postgresql.UndefinedTable()), False),
        (of_sqlite(sqlite3.SQLITE_BUSY), True),
        (of_sqlite(sqlite3.SQLITE_FULL), True),
        (of_sqlite(sqlite3.SQLITE_READONLY), False),
        (ValueError("ours"), False),
    ],
    ids=repr,
)
def test_errors_that_pass_are_told_from_those_that_stay(error: Exception, passes: bool) -> None:
    assert is_passing(error) is passes


@pytest.mark.parametrize(
    ("number", "passes"),
    [
        # Too many connections, a server that shuts down; a wrong password, no such database.
        (1040, True),
        (1053, True),
        (1045, False),
        (1049, False),
    ],
)
def test_which_refusals_of_mysql_are_waited_for(number: int, passes: bool) -> None:
    url = parse_url("mysql://me@db/hypersearch")
    refused = of_mysql(OperationalError, number, None)
    assert backend(url).lets_nobody_in(url, refused) is passes


@pytest.fixture
def narrow(tmp_path: Path, postgresql: object) -> Iterator[PostgreSQLServer]:
    """A PostgreSQL of the test's own, with five connections for everybody."""
    settings = ("superuser_reserved_connections=0", "reserved_connections=0")
    with PostgreSQLServer(tmp_path / "narrow", 5, settings) as server:
        yield server


def test_a_server_of_postgresql_that_lets_nobody_in_for_now_is_waited_for_and_no_other(
    narrow: PostgreSQLServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = narrow.database("a")
    with pytest.raises(StorageUnavailable, match='"absent" does not exist'):
        open_for_work(narrow.url("absent"), patience=IMPATIENT)
    assert caplog.messages == []

    holders = [psycopg.connect(url) for _ in range(5)]
    with pytest.raises(StorageUnavailable, match="too many clients already"):
        open_for_work(url, patience=IMPATIENT)
    assert len(caplog.messages) == 1
    leaving = threading.Timer(0.3, lambda: [each.close() for each in holders[1:]])
    leaving.start()
    open_for_work(url, patience=Patience(seconds=60, longest_delay_seconds=0.1))[0].engine.dispose()
    leaving.join()
    assert len(caplog.messages) == 2

    # It lets those who are there finish, and nobody else in.
    os.kill(narrow.pid, signal.SIGTERM)
    while narrow.lets_in():
        pass
    with pytest.raises(StorageUnavailable, match="is shutting down"):
        open_for_work(url, patience=IMPATIENT)
    holders[0].close()
    assert ["trying again for" in message for message in caplog.messages] == [True] * 3
