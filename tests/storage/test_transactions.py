"""Which errors of the drivers pass: a transaction that ended in one of them is repeated."""

import sqlite3

import pytest
from psycopg import errors as postgresql
from pymysql import err as mysql
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError

from storage.transactions import is_passing


def of_mysql(kind: type[DBAPIError], number: int, sqlstate: str | None) -> DBAPIError:
    error = mysql.OperationalError(number, "said")
    error.sqlstate = sqlstate  # PyMySQL gives it from 1.2 on
    return kind("SELECT 1", None, error)


def of_sqlite(code: int) -> DBAPIError:
    error = sqlite3.OperationalError("said")
    error.sqlite_errorcode = code
    return OperationalError("SELECT 1", None, error)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (of_mysql(OperationalError, 1205, "HY000"), True),  # lock wait timeout
        (of_mysql(OperationalError, 1205, None), True),
        (of_mysql(OperationalError, 1213, "40001"), True),  # deadlock
        (of_mysql(OperationalError, 2013, None), True),  # lost connection
        (of_mysql(OperationalError, 1021, "HY000"), True),  # disk full
        (of_mysql(InterfaceError, 0, None), True),  # a connection that is closed
        (of_mysql(OperationalError, 1045, "28000"), False),  # wrong password
        (of_mysql(ProgrammingError, 1146, "42S02"), False),  # no such table
        (OperationalError("SELECT 1", None, postgresql.DeadlockDetected()), True),
        (OperationalError("SELECT 1", None, postgresql.LockNotAvailable()), True),
        (OperationalError("SELECT 1", None, postgresql.SerializationFailure()), True),
        (OperationalError("SELECT 1", None, postgresql.OperationalError("connection refused")), True),
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
