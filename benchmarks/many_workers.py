"""Many simulated workers on one PostgreSQL study: how long each waits for a trial, and whether all
are let in.

Each thread is a worker with an id, leases and signs of life of its own; the processes share two
connections for each of their workers. A trial sleeps through its epochs, and the random sampler
takes no time: the storage is measured, with what its clients compute on this machine's cores.
"""

import argparse
import logging
import math
import random
import statistics
import tempfile
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import optuna
from sqlalchemy import create_engine

from benchmarks.figures import machine, percentile
from benchmarks.storage import EPOCHS, Curve, eight_parameters
from benchmarks.timed_leases import LeaseSeconds
from lab.servers import PostgreSQLServer
from objectives.hyperparameters import Hyperparameters
from objectives.protocol import Pulse, ResumableTraining
from search.spec.definition import stored_spec
from search.spec.request import Request
from search.studies.joining import JoinedStudy, join
from search.studies.this_worker import this_worker
from search.worker.artifacts import IncumbentArtifacts
from search.worker.events import TrialFinished
from search.worker.loop import work
from search.worker.objective import Objective
from search.worker.workplace import Workplace
from storage.artifacts import open_artifact_store
from storage.computing import Computing
from storage.engine import Database, open_for_work
from storage.hosts import this_host
from storage.leases.keeper import Keeper
from storage.leases.taking import TrialLeases
from storage.studies import find_study

# Each worker has so many.
CONNECTIONS = 2


@dataclass(frozen=True)
class Load:
    """So many workers that together finish so many trials a second, for so long after all have
    started.
    """

    processes: int
    threads: int
    trials_a_second: float
    seconds: float

    @property
    def workers(self) -> int:
        """In all processes."""
        return self.processes * self.threads

    @property
    def trial_seconds(self) -> float:
        """That a trial lasts."""
        return self.workers / self.trials_a_second


@dataclass
class Seen:
    """What the workers of a process have to tell."""

    acquire_seconds: list[float] = field(default_factory=list)
    finish_seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    # These transactions were repeated, for a lock or a lost connection.
    repeated: list[str] = field(default_factory=list)


class _Repeats(logging.Handler):
    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self._seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        self._seen.repeated.append(record.getMessage())


def work_in_threads(url: str, load: Load, folder: str) -> Seen:
    """One process of the load."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seen = Seen()
    transactions = logging.getLogger("storage.transactions")
    transactions.setLevel(logging.DEBUG)
    transactions.addHandler(_Repeats(seen))
    transactions.propagate = False
    database, rdb = open_for_work(url, connections=CONNECTIONS * load.threads)
    deadline = time.monotonic() + load.trial_seconds + load.seconds

    def one_worker() -> None:
        # The trials of many workers do not end together.
        time.sleep(random.uniform(0, load.trial_seconds))
        leases = TrialLeases(database, rdb, this_worker(this_host(), "-", 0))
        seconds = LeaseSeconds.noted_of(leases)
        try:
            _work(database, rdb, leases, load, Path(folder), deadline)
        # Whatever the error is, it is what this looks for.
        except Exception as error:
            seen.errors.append(f"{type(error).__name__}: {error}")
        seen.acquire_seconds += seconds.acquire
        seen.finish_seconds += seconds.finish

    with database:
        threads = [threading.Thread(target=one_worker) for _ in range(load.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return seen


def _work(
    database: Database,
    rdb: optuna.storages.RDBStorage,
    leases: TrialLeases,
    load: Load,
    folder: Path,
    deadline: float,
) -> None:
    epoch_seconds = load.trial_seconds / EPOCHS

    def train(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        return Curve(0.5, epoch_seconds=epoch_seconds * random.uniform(0.5, 1.5))

    def choose() -> list[JoinedStudy]:
        stored = find_study(database, "s")
        return [JoinedStudy(stored, stored_spec(stored))]

    with Keeper(leases) as keeper:
        artifacts = IncumbentArtifacts(database, open_artifact_store(str(folder / "artifacts")))
        place = Workplace(database, leases, keeper, folder, artifacts, math.inf)
        with closing(
            work(place, rdb, choose, lambda spec: Objective(train, "none", Computing(1)))
        ) as events:
            for event in events:
                if isinstance(event, TrialFinished) and time.monotonic() > deadline:
                    break


def run(url: str, load: Load, folder: str) -> tuple[list[Seen], int]:
    """What each process saw, and the most connections that the server had at a time."""
    database, rdb = open_for_work(url)
    with database:
        join(database, rdb, Request(eight_parameters("random", pruner="none"), {}, "benchmark"))
    engine = create_engine(url)
    peak = 0
    with ProcessPoolExecutor(load.processes, mp_context=get_context("spawn")) as pool:
        found: list[Future[Seen]] = [
            pool.submit(work_in_threads, url, load, folder) for _ in range(load.processes)
        ]
        while not all(each.done() for each in found):
            with engine.connect() as connection:
                query = (
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hypersearch'"
                )
                peak = max(peak, connection.exec_driver_sql(query).scalar_one())
            time.sleep(0.5)
    engine.dispose()
    return [each.result() for each in found], peak


def main() -> None:
    """Prints the machine and a row for each load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[8, 25], help="workers of each process, by load"
    )
    parser.add_argument(
        "--rate", type=float, default=10.0, help="trials a second that all together would finish"
    )
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="after the workers have started"
    )
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print(machine("optuna", "sqlalchemy", "psycopg"))
    print(
        f"PostgreSQL; 8 parameters, random sampler, {EPOCHS} epochs that sleep, no pruner, no"
        " checkpoints"
    )
    for threads in arguments.threads:
        load = Load(arguments.processes, threads, arguments.rate, arguments.seconds)
        with (
            tempfile.TemporaryDirectory() as folder,
            PostgreSQLServer(
                Path(folder) / "postgresql", max_connections=CONNECTIONS * load.workers + 30
            ) as server,
        ):
            started = time.perf_counter()
            seen, peak = run(server.database("many"), load, folder)
            seconds = time.perf_counter() - started
        print(
            f"{load.workers} workers in {load.processes} processes, a trial of"
            f" {load.trial_seconds:.1f} s each"
        )
        acquired = [second for each in seen for second in each.acquire_seconds]
        finished = [second for each in seen for second in each.finish_seconds]
        print(f"  acquire {milliseconds(acquired)}")
        print(f"  finish  {milliseconds(finished)}")
        errors = [error for each in seen for error in each.errors]
        repeated = [line for each in seen for line in each.repeated]
        print(
            f"  {len(finished) / seconds:.1f} trials a second in {seconds:.0f} s, the start"
            " included"
        )
        print(f"  at most {peak} connections, {len(errors)} errors {errors[:3]}")
        print(f"  {len(repeated)} transactions repeated {repeated[:3]}", flush=True)


def milliseconds(found: list[float]) -> str:
    """Median, 95th percentile and maximum."""
    median, tail, longest = (
        1000 * each for each in (statistics.median(found), percentile(found, 95), max(found))
    )
    return f"median {median:.0f} ms, p95 {tail:.0f} ms, longest {longest:.0f} ms, n = {len(found)}"


if __name__ == "__main__":
    main()
