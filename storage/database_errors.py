"""What the errors of the drivers mean: told by their codes, never by their texts."""

import sqlite3

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from storage.errors import WRITABLE

# Errors that pass: a deadlock, a lock or statement that took too long, a server that restarts, has
# no room now, or is read-only until a failover is done.
# PostgreSQL's are SQLSTATEs, or the two characters that all of a class begin with:
# https://www.postgresql.org/docs/current/errcodes-appendix.html
POSTGRESQL_PASSING = ("08", "25006", "25P03", "25P04", "40001", "40P01", "53", "55P03", "57")
# The codes of MySQL are numbers: https://dev.mysql.com/doc/mysql-errors/8.4/en/
MYSQL_PASSING = {
    0,
    1021,
    1040,
    1053,
    1205,
    1213,
    1290,
    1317,
    1836,
    1927,
    1969,
    2002,
    2003,
    2006,
    2013,
    2055,
    3024,
    4031,
}
# SQLite's are its primary codes: busy, locked, I/O error, full, cannot open.
SQLITE_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}


def is_passing(error: BaseException) -> bool:
    """Whether a transaction that ended in this error may go through when it is repeated."""
    found = database_error(error)
    if found is None:
        return isinstance(error, PoolTimeout) or isinstance(error.__cause__, PoolTimeout)
    if found.connection_invalidated:
        return True
    if (code := sqlite_code(found)) is not None:
        return code in SQLITE_PASSING
    if (number := mysql_number(found)) is not None:
        return number in MYSQL_PASSING
    if (state := postgresql_state(found)) is not None:
        return state.startswith(POSTGRESQL_PASSING)
    # Without a code the server has not answered at all, or the statement never left.
    return isinstance(found, OperationalError)


def sqlite_code(error: BaseException) -> int | None:
    """The primary code of SQLite's error: https://www.sqlite.org/rescode.html."""
    found = database_error(error)
    code: int | None = getattr(found and found.orig, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def mysql_number(error: BaseException) -> int | None:
    """The number of MySQL's error; its SQLSTATE, which newer drivers give too, says less."""
    found = database_error(error)
    original = None if found is None else found.orig
    number = original.args[0] if original is not None and original.args else None
    return number if isinstance(number, int) else None


def postgresql_state(error: BaseException) -> str | None:
    """The SQLSTATE of PostgreSQL's error; `None` also where a connection was refused: libpq keeps
    the code of that to itself.
    """
    found = database_error(error)
    state: str | None = getattr(found and found.orig, "sqlstate", None)
    return state


def reason(error: BaseException) -> str:
    """One line of what the database said."""
    found = database_error(error)
    said = str(found.orig if found is not None else error.__cause__ or error).strip()
    return said.partition("\n")[0]


_SQLITE_MENDS = {
    (
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_AUTH,
    ): WRITABLE,
    (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED): "see which other process holds it",
    (sqlite3.SQLITE_IOERR,): "see to its disk; a network file system does not serve",
    (sqlite3.SQLITE_FULL,): "make room on its disk",
    (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    ): "take a backup, or save what 'sqlite3 FILE .recover' finds",
}


def mend(error: BaseException) -> str | None:
    """What helps against an error of SQLite; `None` where nothing is known."""
    code = sqlite_code(error)
    return next((mend for codes, mend in _SQLITE_MENDS.items() if code in codes), None)


def is_no_database(error: BaseException) -> bool:
    """Whether the file that SQLite should open is of another kind."""
    return sqlite_code(error) == sqlite3.SQLITE_NOTADB


def database_error(error: BaseException | None) -> DBAPIError | None:
    """SQLAlchemy's error, also as Optuna wraps it; `None` where it is another one."""
    return next(
        (each for each in (error, error and error.__cause__) if isinstance(each, DBAPIError)), None
    )
