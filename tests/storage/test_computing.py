"""What a trial is computed with stays with it, and the next new trial has its worker's own
again.
"""

import os
import uuid

import pytest
from optuna.storages import RDBStorage
from sqlalchemy import select

from storage import schema
from storage.computing import Computed, Computing
from storage.engine import Database, open_for_work
from storage.hosts import process_start
from storage.leases.lease import Lease, Worker
from storage.leases.taking import TrialLeases
from storage.records import read_trials
from storage.studies import Budget, StoredStudy, find_study
from storage.study_control import create_study

OWN = Computing(2, 128)


@pytest.mark.parametrize(
    ("before", "device", "computing"),
    [
        (Computed("cpu", 1, 32), "cpu", Computing(1, 32)),
        # The threads are more than this machine has cores.
        (Computed("cpu", 64, 32), "cpu", Computing(64, 32)),
        (Computed("cpu", 65, 32), "cpu", OWN),
        # The piece was not recorded then.
        (Computed("cpu", 1, None), "cpu", Computing(1, 64)),
        (Computed("cpu", 1, 32), "cuda:0", OWN),
        (Computed("cuda:0", 1, None), "cpu", OWN),
        (Computed("mps", 1, None), "cuda", OWN),
        (Computed("cuda:0", 3, None), "cuda:12", Computing(3, None)),
        (Computed("cuda", 3, 256), "cuda:1", Computing(3, 256)),
        (Computed("none", 1, None), "none", Computing(1, None)),
    ],
    ids=repr,
)
def test_a_trial_keeps_what_it_is_computed_with_on_its_kind_of_device(
    before: Computed, device: str, computing: Computing
) -> None:
    assert before.goes_on_with(OWN, device, most_threads=64) == computing


def worker(computing: Computing, device: str = "cpu", pid: int | None = None) -> Worker:
    started = process_start(os.getpid())
    return Worker(uuid.uuid4().hex, "h", "h", pid or os.getpid(), started, device, computing)


def make_study(database: Database, rdb: RDBStorage) -> StoredStudy:
    name = f"s{uuid.uuid4().hex[:12]}"
    how = {"metric": "accuracy", "definition": "{}", "definition_hash": "0"}
    create_study(database, rdb, name=name, direction="maximize", budget=Budget(9), **how)
    return find_study(database, name)


def test_a_trial_that_is_taken_over_keeps_its_own_and_the_next_one_has_the_workers(
    shared_url: str,
) -> None:
    database, rdb = open_for_work(shared_url)
    with database:
        stored = make_study(database, rdb)

        def leases(
            computing: Computing, device: str = "cpu", pid: int | None = None
        ) -> TrialLeases:
            return TrialLeases(database, rdb, worker(computing, device, pid))

        def attempts(of: Lease) -> list[tuple[str, int, int | None]]:
            columns = schema.attempt.c
            query = select(columns.device, columns.threads, columns.piece).where(
                columns.trial_id == of.trial_id
            )
            with database.transactions.read() as connection:
                return [tuple(row) for row in connection.execute(query.order_by(columns.attempt))]

        handed_back = leases(Computing(1, 32))
        handed_back.hand_back(handed_back.acquire(stored))
        no_process = 2**22 + 1
        died = leases(Computing(3, 16), pid=no_process).acquire(stored)
        assert (died.number, died.computing) == (0, Computing(1, 32))
        other = leases(OWN)
        taken = other.acquire(stored)
        assert (taken.number, taken.attempt, taken.computing) == (0, 3, Computing(1, 32))
        other.hand_back(taken)
        on_gpu = leases(Computing(1), "cuda:0")
        on_gpu.hand_back(on_gpu.acquire(stored))
        last = other.acquire(stored)
        assert last.computing == OWN
        assert attempts(last) == [*[("cpu", 1, 32)] * 3, ("cuda:0", 1, None), ("cpu", 2, 128)]
        other.finish(last, "failed", reason="boom")
        new = other.acquire(stored)
        assert (new.is_new, new.computing, attempts(new)) == (True, OWN, [("cpu", 2, 128)])
        other.finish(new, "failed", reason="boom")
        other.computes_on("cpu", Computing(4, 256))
        newest = other.acquire(stored)
        assert (newest.computing, attempts(newest)) == (Computing(4, 256), [("cpu", 4, 256)])
        found = [(trial.threads, trial.piece) for trial in read_trials(database, stored.study_id)]
        assert found == [(2, 128), (2, 128), (4, 256)]


def test_an_answer_that_was_lost_changes_nothing(shared_url: str) -> None:
    """After a COMMIT without an answer the worker finds the trial as its own."""
    database, rdb = open_for_work(shared_url)
    with database:
        stored = make_study(database, rdb)
        first = TrialLeases(database, rdb, worker(Computing(1, 32)))
        first.hand_back(first.acquire(stored))
        other = TrialLeases(database, rdb, worker(OWN))
        for _ in range(2):
            held = other.acquire(stored)
            assert (held.attempt, held.computing) == (2, Computing(1, 32))
