"""What each kind of database needs to be safe for many processes: settings of connections, and a
lock to set it up.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypedDict

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, Pool

# A worker has two: one trains and records, one keeps the lease.
CONNECTIONS = 2
# Another process that makes the tables is waited for so long.
SET_UP_TIMEOUT_SECONDS = 60.0


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

    def lets_nobody_in(self, url: URL, error: DBAPIError) -> bool:
        """Whether a connection was refused because the database is there and lets nobody in for
        now: it starts, ends, or has no connection left.
        """

    def alone(self, url: URL, engine: Engine) -> AbstractContextManager[None]:
        """A context in which no other process sets this database up."""

    def place(self, url: URL, connection: Connection) -> str:
        """Where this database is: a copy is elsewhere, the same database under another URL or from
        another host is not.

        Any user may ask for it. It is ASCII, and names no user and no password.
        """


@contextmanager
def session_of_its_own(url: URL, options: EngineOptions) -> Iterator[Connection]:
    """A connection beside all pools, for a lock of the session.

    Such a lock must neither go back to a pool nor sit in a transaction, which the server would end.
    """
    engine = create_engine(
        url, poolclass=NullPool, connect_args=options["connect_args"], isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        yield connection
