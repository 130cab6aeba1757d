"""SQLite: a file that many processes write."""

import errno
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from storage.backends.contract import SET_UP_TIMEOUT_SECONDS, EngineOptions
from storage.errors import WRITABLE, NotThereYet, StorageUnavailable, StorageURLError
from storage.urls import shown_url, sqlite_path

# A writer waits this long for another one's transaction; ours last milliseconds, a frozen process
# may hold one longer.
BUSY_TIMEOUT_SECONDS = 60.0


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
                timeout=BUSY_TIMEOUT_SECONDS,
                # The driver begins no transactions of its own: the "begin" event does.
                isolation_level=None,
                # SQLAlchemy's pool hands a connection to one thread at a time.
                check_same_thread=False,
            )
            # A journal in WAL mode with NORMAL may lose acknowledged commits at power loss.
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
                raise StorageURLError.no_file(shown_url(url), f"{path} is a folder or a device")
            if not path.parent.is_dir():
                raise StorageUnavailable.no_folder(str(path.parent), is_there=path.parent.exists())
            if not create and not path.exists():
                raise NotThereYet.no_file(str(path))
            if write and not _may_write(path):
                if path.exists():
                    raise StorageUnavailable.read_only(shown_url(url))
                raise StorageUnavailable.closed_folder(str(path.parent))
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise StorageURLError.no_file(
                    shown_url(url), "its name is longer than the system allows"
                ) from None
            raise StorageUnavailable.broken(
                shown_url(url), error.strerror or str(error), WRITABLE
            ) from None

    def lets_nobody_in(self, url: URL, error: DBAPIError) -> bool:
        """Never: whoever finds a file locked has waited for it already."""
        return False

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
            raise StorageUnavailable.being_set_up(shown_url(url)) from None

    def place(self, url: URL, connection: Connection) -> str:
        """The file by its number in its file system, which a file that is moved keeps and none of
        its copies has.
        """
        file = sqlite_path(url).resolve()
        status = file.stat()
        # A restart may give the device another st_dev.
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
