"""Which errors of the drivers pass, so that the transaction is repeated; who goes first where many
write.
"""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from psycopg import errors as postgresql
from pymysql import err as mysql
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError

from storage.engine import open_for_work
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


def test_of_those_who_wait_for_the_writer_of_sqlite_the_urgent_one_goes_first(
    tmp_path: Path,
) -> None:
    database, _ = open_for_work(f"sqlite:///{tmp_path}/s.db", connections=4)
    transactions = database.transactions

    def first_to_come() -> str:
        came: list[str] = []

        def write(name: str) -> None:
            with transactions.write(urgent=name == "urgent"):
                came.append(name)

        with ThreadPoolExecutor(3) as pool:
            with transactions.write():
                waiting = [pool.submit(write, name) for name in ("ordinary", "ordinary", "urgent")]
                time.sleep(0.4)  # whoever has waited so long asks every 100 ms
            for each in waiting:
                each.result()
        return came[0]

    with database:
        assert [first_to_come() for _ in range(5)].count("urgent") >= 4


def test_an_urgent_writer_of_sqlite_has_the_patience_of_all_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("storage.backends.SQLITE_BUSY_TIMEOUT_SECONDS", 0.2)
    database, _ = open_for_work(f"sqlite:///{tmp_path}/s.db", connections=2)
    transactions = database.transactions
    with database:
        with (
            transactions.write(),
            pytest.raises(OperationalError, match="locked") as refused,
            transactions.write(urgent=True),
        ):
            pytest.fail("two write at once")
        assert is_passing(refused.value)
        with transactions.write(urgent=True):
            pass
        with transactions.read() as one, transactions.read() as other:
            assert [each.scalar(text("PRAGMA busy_timeout")) for each in (one, other)] == [200, 200]
