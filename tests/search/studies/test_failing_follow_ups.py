"""A training of a follow-up that fails leaves its slot to another one, three times in all."""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import hypersearch as notebook
from search.engines.answers import Commission, announce_confirmation
from search.spec.reading import parse_spec
from search.studies.followups.confirming import AskedToConfirm
from storage.computing import Computing
from storage.engine import open_for_work
from storage.hosts import process_start
from storage.leases.lease import Worker
from storage.leases.taking import TrialLeases
from storage.studies import StoredStudy, find_study

SPEC = {
    "study": {"name": "s", "trials": 3, "sampler": "random", "pruner": "none"},
    "data": {"dataset": "synthetic"},
    "training": {"epochs": 1},
}
Followed = tuple[Callable[[], TrialLeases], StoredStudy]


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Followed]:
    """Workers, and a confirmation of a study of three trials that nobody has begun to train."""
    url = f"sqlite:///{tmp_path}/a.db"
    notebook.run(parse_spec(SPEC), storage=url, threads=1)
    asked = AskedToConfirm(top=2, seeds=2, reads_test=False)
    announced = announce_confirmation(Commission(url, "s"), asked)
    pid, started = os.getpid(), process_start(os.getpid())
    database, optunas = open_for_work(url, create=False)

    def another() -> TrialLeases:
        me = Worker(uuid.uuid4().hex, "h", "h", pid, started, "cpu", Computing(1, 64))
        return TrialLeases(database, optunas, me)

    with database:
        yield another, find_study(database, announced.stored.name)


def test_one_failure_each_ends_no_follow_up(followed: Followed) -> None:
    another, stored = followed
    workers = [another() for _ in range(4)]
    held = [each.acquire(stored) for each in workers]
    states = [
        worker.finish(each, "failed", reason="boom")
        for worker, each in zip(workers, held, strict=True)
    ]
    assert states == ["open"] * 4
    again = [each.acquire(stored) for each in workers]
    assert [each.slot for each in again] == [each.slot for each in held]


def test_a_slot_that_fails_three_times_ends_its_follow_up(followed: Followed) -> None:
    another, stored = followed
    leases = another()
    slots, states = [], []
    for _ in range(3):
        held = leases.acquire(stored)
        slots.append(held.slot)
        states.append(leases.finish(held, "failed", reason="boom"))
    assert states == ["open", "open", "ended"]
    assert len(set(slots)) == 1
