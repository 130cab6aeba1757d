"""The database's clock: the one that all workers share."""

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import BigInteger


class now_ms(FunctionElement[int]):  # noqa: N801 - named as the SQL function that it stands for
    """UTC milliseconds since 1970 as a statement runs, however long its transaction has waited."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_ms, "sqlite")
def _sqlite(element: now_ms, compiler: SQLCompiler, **_: object) -> str:
    # The number 2440587.5 is the Julian day of 1970-01-01
    # (https://www.sqlite.org/lang_datefunc.html).
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"


@compiles(now_ms, "postgresql")
def _postgresql(element: now_ms, compiler: SQLCompiler, **_: object) -> str:
    # The function now() stands still in a transaction.
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


@compiles(now_ms, "mysql", "mariadb")
def _mysql(element: now_ms, compiler: SQLCompiler, **_: object) -> str:
    # The sessions' time zone is UTC.
    return "CAST(ROUND(UNIX_TIMESTAMP(SYSDATE(3)) * 1000) AS SIGNED)"
