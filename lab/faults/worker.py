"""A worker process for fault cases: the product's loop, which also logs what it was told and how
long it waited.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from optuna import logging as optuna_logging
from sqlalchemy import Connection, Engine, event

from search.machine.this_machine import Files, Machine
from search.spec.definition import stored_spec
from search.studies.joining import JoinedStudy
from search.studies.this_worker import this_worker
from search.worker.events import EpochFinished, TrialFinished, TrialStarted
from search.worker.loop import work, workplace
from search.worker.objective import build_objective
from storage.engine import open_for_work
from storage.hosts import Host, this_host
from storage.leases.lease import LeaseTimes
from storage.leases.taking import TrialLeases
from storage.studies import find_study
from storage.transactions import Patience

TIMED = ("acquire", "record_parameters", "report", "finish")


@dataclass(frozen=True)
class Order:
    """What one worker process shall do."""

    url: str
    study: str
    # Checkpoints and logs lie in the folder.
    folder: str
    # The log is named so.
    name: str
    # The product's lease times are multiplied by it: 0.2 makes a lease of 12 s.
    scale: float = 1.0
    epoch_seconds: float = 0.5
    # The worker says that it is on this machine; the real one if empty.
    machine: str = ""
    # Once it is told to, the worker stops itself in a transaction of that operation, before its
    # COMMIT.
    freezes_in: str = ""
    # The worker's time.time() is off by so many seconds.
    clock_shift: float = 0.0
    patience_seconds: float = 600.0

    @property
    def log(self) -> Path:
        """Its log: one JSON document a line."""
        return Path(self.folder) / f"{self.name}.log"

    @property
    def freeze(self) -> Path:
        """The file that tells it to freeze."""
        return Path(self.folder) / f"{self.name}.freeze"


def scaled(scale: float) -> LeaseTimes:
    """The product's lease times, all shorter by one factor."""
    times = LeaseTimes()
    return LeaseTimes(
        times.lease * scale, times.renewal * scale, times.watch * scale, times.hung * scale
    )


class _Log:
    def __init__(self, path: Path) -> None:
        self._file = path.open("a")

    def write(self, kind: str, **facts: str | int | float | None) -> None:
        self._file.write(json.dumps({"kind": kind, "at": time.monotonic(), **facts}) + "\n")
        self._file.flush()


def _time_operations(log: _Log) -> None:
    def timed(name: str, method: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **named: object) -> object:
            started = time.monotonic()
            try:
                return method(*given, **named)
            finally:
                log.write("waited", operation=name, seconds=time.monotonic() - started)

        return call

    for name in TIMED:
        setattr(TrialLeases, name, timed(name, getattr(TrialLeases, name)))


def _freeze_in(operation: str, engine: Engine, told: Path) -> None:
    # The lease keeper's thread is never inside.
    inside: ContextVar[bool] = ContextVar("inside", default=False)
    method = getattr(TrialLeases, operation)

    def call(*given: object, **named: object) -> object:
        token = inside.set(True)
        try:
            return method(*given, **named)
        finally:
            inside.reset(token)

    def freeze(connection: Connection) -> None:
        if inside.get() and told.exists():
            told.unlink()
            os.kill(os.getpid(), signal.SIGSTOP)

    setattr(TrialLeases, operation, call)
    event.listen(engine, "commit", freeze)


def run(order: Order) -> None:
    """Works on the study until it has ended."""
    optuna_logging.set_verbosity(optuna_logging.WARNING)
    log = _Log(order.log)
    if order.clock_shift:
        now = time.time
        time.time = lambda: now() + order.clock_shift
    _time_operations(log)
    patience = Patience(
        order.patience_seconds, longest_delay_seconds=Patience().longest_delay_seconds * order.scale
    )
    database, rdb = open_for_work(order.url, patience=patience)
    if order.freezes_in:
        _freeze_in(order.freezes_in, database.engine, order.freeze)
    host = this_host()
    me = this_worker(Host(host.name, order.machine or host.machine), "none", 1)
    if order.machine:
        # No process of this machine has such an id.
        me = replace(me, pid=2**22 + 1)
    log.write("start", worker=me.id)
    folder = Path(order.folder)
    files = Files(str(folder / "artifacts"), folder / "checkpoints")
    machine = Machine(
        folder / "data",
        folder / "cache",
        folder / "division",
        files,
        synthetic_seconds=order.epoch_seconds,
    )

    def choose() -> list[JoinedStudy]:
        stored = find_study(database, order.study)
        return [JoinedStudy(stored, stored_spec(stored))]

    with (
        database,
        workplace(database, rdb, me, machine.files, scaled(order.scale)) as place,
        closing(
            work(place, rdb, choose, lambda joined: build_objective(joined.spec, machine))
        ) as events,
    ):
        for each in events:
            match each:
                case TrialStarted(_, number, attempt):
                    log.write("trial", number=number, attempt=attempt)
                case EpochFinished(number, measurement, value):
                    log.write("epoch", number=number, epoch=measurement.epoch, value=value)
                case TrialFinished():
                    log.write("end", number=each.number, outcome=each.outcome, value=each.value)


def command(order: Order) -> list[str]:
    """How to start it."""
    return [sys.executable, "-P", "-m", "lab.faults.worker", json.dumps(asdict(order))]


if __name__ == "__main__":
    run(Order(**json.loads(sys.argv[1])))
