"""One worker process of a soak: the product's own loop on made-up curves, with a journal; its
guards can be broken.

Imports no torch, and nothing of the soak itself: the server that forks the workers loads this
module alone.
"""

import json
import logging
import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self
from unittest.mock import patch

import alembic.command  # noqa: F401 - loaded once here, not in each worker
import optuna
from sqlalchemy import Connection, Row

from objectives.checkpoint import CheckpointFolder
from objectives.synthetic import synthetic_curve  # noqa: F401 - as above
from search.machine.this_machine import Files, Machine
from search.spec.definition import stored_spec
from search.studies.joining import JoinedStudy
from search.studies.this_worker import this_worker
from search.worker.events import Event, TrialFinished, TrialStarted
from search.worker.loop import work, workplace
from search.worker.objective import build_objective
from storage.engine import open_for_work
from storage.hosts import this_host
from storage.leases import taking
from storage.leases.ending import Outcome
from storage.leases.lease import Lease, LeaseTimes
from storage.leases.taking import TrialLeases
from storage.leases.watch import Watch
from storage.studies import find_study
from storage.study_states import Counts

Value = str | int | float | bool | None
Line = dict[str, Value | dict[str, Value]]


@dataclass(frozen=True)
class Job:
    """What one worker process does."""

    url: str
    study: str
    checkpoint_root: Path
    journal: Path
    times: LeaseTimes
    seconds_per_epoch: float
    # At least so long lies between two checkpoints that are written.
    checkpoint_seconds: float = 0.0
    # A guard of BREAKS is taken away, by its name there.
    broken: str | None = None
    # After so many events the worker hands its trial back.
    stop_after: int | None = None


class Journal:
    """What a worker says that it has done: one JSON line each, appended whole; acknowledgements are
    on the disk.

    >>> with Journal(Path("0.jsonl")) as journal:     # doctest: +SKIP
    ...     journal.write("acknowledged", number=3, value=0.98)
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    def write(self, what: str, **line: Value | dict[str, Value]) -> None:
        """Appends a line."""
        os.write(self._descriptor, f"{json.dumps({'what': what, **line})}\n".encode())
        if what == "acknowledged":
            os.fsync(self._descriptor)

    def note(self, event: Event) -> None:
        """Appends what an event of the worker says of a trial."""
        match event:
            case TrialStarted():
                self.write(
                    "started",
                    number=event.number,
                    attempt=event.attempt,
                    parameters={**event.parameters},
                    epochs=event.epochs,
                )
            case TrialFinished(outcome="lost"):
                self.write("refused", number=event.number, attempt=event.attempt)
            case TrialFinished(outcome="complete" | "pruned" | "failed"):
                self.write(
                    "acknowledged",
                    number=event.number,
                    attempt=event.attempt,
                    outcome=event.outcome,
                    value=event.value,
                    parameters={**event.parameters},
                )


def read_journal(path: Path) -> list[Line]:
    """The lines of a journal; one that a kill cut off was never written."""
    lines = path.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1]]


def work_on(job: Job) -> None:
    """Works until the study has ended, as `hypersearch worker` does."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.basicConfig(filename=job.journal.with_suffix(".log"), format="%(asctime)s %(message)s")
    try:
        _work(job)
    # Whatever it was stands in the worker's log, and the soak sees the exit code.
    except Exception:
        logging.exception("the worker has failed")
        raise SystemExit(1) from None


def _work(job: Job) -> None:
    if job.broken is not None:
        BREAKS[job.broken]()
    nowhere = job.checkpoint_root / "unused"
    files = Files(str(job.checkpoint_root.with_name("artifacts")), job.checkpoint_root)
    machine = Machine(nowhere, nowhere, nowhere, files, synthetic_seconds=job.seconds_per_epoch)
    database, rdb = open_for_work(job.url)

    def choose() -> list[JoinedStudy]:
        stored = find_study(database, job.study)
        return [JoinedStudy(stored, stored_spec(stored))]

    me = this_worker(this_host(), "none", 1)
    with database, Journal(job.journal) as journal:
        journal.write("worker", owner=me.id, pid=me.pid, host=me.host)
        with (
            workplace(
                database, rdb, me, files, job.times, checkpoint_seconds=job.checkpoint_seconds
            ) as place,
            closing(
                work(place, rdb, choose, lambda joined: build_objective(joined.spec, machine))
            ) as events,
        ):
            for event in islice(events, job.stop_after):
                journal.note(event)


def _no_fence() -> None:
    def renewed(self: TrialLeases, connection: Connection, held: Lease) -> bool:
        return True

    patch.object(TrialLeases, "_renewed", renewed).start()


def _no_budget() -> None:
    def count_trials(connection: Connection, study_id: int) -> Counts:
        return Counts(0, 0, 0)

    patch.object(taking, "count_trials", count_trials).start()


def _no_watch() -> None:
    def is_silent(self: Watch, row: Row[tuple[object, ...]]) -> bool:
        return bool(row.expires_ms <= 1000 * time.time())

    patch.object(Watch, "is_silent", is_silent).start()


def _no_hash() -> None:
    def load(self: CheckpointFolder, name: str, sha256: str) -> bytes | None:
        path = self._folder / name
        return path.read_bytes() if path.exists() else None

    patch.object(CheckpointFolder, "load", load).start()


def _no_look_back() -> None:
    def has_ended(self: TrialLeases, held: Lease, outcome: Outcome) -> bool:
        return False

    patch.object(TrialLeases, "_has_ended", has_ended).start()


# Guards of the product, each taken away in this process alone: a check that then finds nothing is
# worth nothing.
BREAKS: dict[str, Callable[[], None]] = {
    # A write needs no lease.
    "fence": _no_fence,
    # A trial is created whatever has finished.
    "budget": _no_budget,
    # An expiry alone takes a trial over.
    "watch": _no_watch,
    # A checkpoint is loaded as it is.
    "checkpoint-hash": _no_hash,
    # An end whose COMMIT went unanswered is written again, and refused.
    "look-back": _no_look_back,
}


def numbered(job: Job, life: int) -> Job:
    """The same job for another process, with a journal of its own."""
    return replace(job, journal=job.journal.with_name(f"{job.journal.stem}-{life}.jsonl"))
