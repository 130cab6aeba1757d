"""Where fault cases are tried: a database of one kind, a study, and worker processes on it."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from lab.checkout import ROOT, environment
from lab.faults.worker import Order, command
from lab.servers import MariaDBServer, PostgreSQLServer, Server
from search.spec.document import Document
from search.spec.request import Request
from search.studies.joining import create_or_join
from storage.engine import open_database
from storage.studies import find_study
from storage.study_control import pause_study, resume_study

BACKENDS = ("sqlite", "postgresql", "mariadb")
SERVERS: dict[str, type[PostgreSQLServer] | type[MariaDBServer]] = {
    "postgresql": PostgreSQLServer,
    "mariadb": MariaDBServer,
}
# What must come has to come about within this time.
UNTIL_SECONDS = 120.0
# Workers have so long for what is left of a study.
END_SECONDS = 240.0


@dataclass(frozen=True)
class Result:
    """What a case came to."""

    case: str
    backend: str
    did: str
    n: int
    violations: list[str] = field(default_factory=list)
    saw: str = ""

    def __str__(self) -> str:
        head = "PASS" if not self.violations else "VIOLATION"
        lines = [
            f"{head:9} {self.case:12} {self.backend:10} n = {self.n}:"
            f" {self.did}{self.saw and '; ' + self.saw}"
        ]
        return "\n".join([*lines, *(f"          - {each}" for each in self.violations)])


Fact = dict[str, str | int | float | None]


@dataclass
class Process:
    """A worker process, and what it has logged."""

    order: Order
    popen: subprocess.Popen[bytes]
    errors: Path

    def facts(self, kind: str) -> list[Fact]:
        """What it has logged of that kind so far."""
        if not self.order.log.exists():
            return []
        lines = self.order.log.read_text().splitlines(keepends=True)
        facts: list[Fact] = [json.loads(line) for line in lines if line.endswith("\n")]
        return [fact for fact in facts if fact["kind"] == kind]

    @property
    def worker(self) -> str:
        """Its id in the database."""
        return str(self.facts("start")[0]["worker"])

    def longest_wait(self, since: float = 0.0) -> float:
        """Of the operations that have ended after that moment of the monotonic clock, in
        seconds.
        """
        waits = [
            float(fact["seconds"] or 0)
            for fact in self.facts("waited")
            if float(fact["at"] or 0) > since
        ]
        return max(waits, default=0.0)

    def is_stopped(self) -> bool:
        """Whether it has frozen."""
        stat = Path(f"/proc/{self.popen.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def said(self) -> list[str]:
        """Its lines on standard error."""
        return self.errors.read_text().splitlines()


class Lab:
    """A database of one kind and a folder; what is started in it ends with it.

    >>> with laboratory("postgresql") as lab:      # doctest: +SKIP
    ...     processes = [lab.start(order) for order in lab.orders(4, lab.study(trials=8))]
    ...     lab.wait_for_end(processes)
    """

    def __init__(self, backend: str, folder: Path, server: Server | None) -> None:
        self.backend = backend
        self.folder = folder
        self._server = server
        self._numbers = count()
        self._started: list[subprocess.Popen[bytes]] = []

    @property
    def server(self) -> Server:
        """The server of this database."""
        assert self._server is not None
        return self._server

    def new_url(self) -> str:
        """Of an empty database, or one that is not there yet."""
        name = f"lab_{uuid.uuid4().hex[:12]}"
        return (
            f"sqlite:///{self.folder}/{name}.db"
            if self._server is None
            else self.server.database(name)
        )

    def study(self, trials: int, epochs: int = 5, url: str | None = None) -> Order:
        """A new study of synthetic curves, as an order for workers on it."""
        name = f"study-{next(self._numbers)}"
        document: Document = {
            "study": {"name": name, "trials": trials, "pruner": "none", "sampler": "random"},
            "data": {"dataset": "synthetic"},
            "training": {"epochs": epochs},
        }
        url = url or self.new_url()
        create_or_join(url, Request(document, {}, "the benchmark"))
        folder = self.folder / name
        folder.mkdir()
        return Order(url, name, str(folder), "worker")

    def start(self, order: Order) -> Process:
        """Starts a worker."""
        errors = Path(order.folder) / f"{order.name}.stderr"
        with errors.open("wb") as file:
            popen = subprocess.Popen(command(order), cwd=ROOT, env=environment(), stderr=file)
        self._started.append(popen)
        return Process(order, popen, errors)

    def start_together(self, orders: Sequence[Order], training: int) -> list[Process]:
        """Starts workers on one study, which is paused until all are up: so many of them then
        train, in any order.
        """
        with open_database(orders[0].url) as database:
            stored = find_study(database, orders[0].study)
            pause_study(database, stored)
            processes = [self.start(order) for order in orders]
            until(lambda: all(process.facts("start") for process in processes))
            resume_study(database, stored)
        until(lambda: sum(bool(process.facts("epoch")) for process in processes) >= training)
        return processes

    def wait_for_end(self, processes: Iterable[Process], seconds: float = END_SECONDS) -> list[str]:
        """Until all have ended; returns what is wrong with how they did."""
        deadline, wrong = time.monotonic() + seconds, []
        for process in processes:
            try:
                code = process.popen.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                wrong.append(
                    f"{process.order.name} has not ended after {seconds:.0f} s:"
                    f" {process.said()[-1:]}"
                )
                process.popen.kill()
                continue
            if code != 0:
                wrong.append(f"{process.order.name} ended with {code}: {process.said()[-1:]}")
        return wrong

    def end_all(self) -> None:
        """Kills what is left."""
        for popen in self._started:
            if popen.poll() is None:
                popen.send_signal(signal.SIGKILL)
                popen.wait()


@contextmanager
def laboratory(backend: str) -> Iterator[Lab]:
    """A lab with a server of its own."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    # PostgreSQL's system user must get through the folder.
    folder.chmod(0o755)
    try:
        if backend not in SERVERS:
            with closing_lab(Lab(backend, folder, None)) as lab:
                yield lab
            return
        with (
            SERVERS[backend](folder / "server") as server,
            closing_lab(Lab(backend, folder, server)) as lab,
        ):
            yield lab
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def closing_lab(lab: Lab) -> Iterator[Lab]:
    """Ends the lab's processes."""
    try:
        yield lab
    finally:
        lab.end_all()


def until(condition: Callable[[], bool]) -> None:
    """Waits for what must come. Raises TimeoutError."""
    deadline = time.monotonic() + UNTIL_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it has not happened within {UNTIL_SECONDS:.0f} s")
        time.sleep(0.05)


def all_train(processes: Sequence[Process]) -> bool:
    """Whether each worker has recorded an epoch."""
    return all(process.facts("epoch") for process in processes)


def device() -> str:
    """The machine, in words."""
    return (
        f"{os.uname().machine}, {os.cpu_count()} cores, {os.uname().sysname} {os.uname().release}"
    )
