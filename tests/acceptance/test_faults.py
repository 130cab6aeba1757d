"""Faults of the database and the network: short runs of benchmarks.faults, on real servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.faults import freezes, network, restarts, statements
from benchmarks.faults.lab import SERVERS, Lab, closing_lab, laboratory
from benchmarks.servers import Server

SHORT = 0.1  # of the product's lease times: a lease of 6 s


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """On the session's server, or on a SQLite file."""
    backend: str = request.param
    server: Server | None = request.getfixturevalue(backend) if backend in SERVERS else None
    with closing_lab(Lab(backend, tmp_path, server)) as made:
        yield made


def test_a_restart_longer_than_a_hang_takes_no_trial_from_the_living(postgresql: Server) -> None:
    with laboratory("postgresql") as lab:  # a server of its own: others need theirs
        assert restarts.restarted(lab, 1, SHORT).violations == []


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_a_worker_that_freezes_in_a_transaction_of_sqlite_costs_nobody_a_trial(lab: Lab) -> None:
    assert freezes.frozen(lab, 1, SHORT, seconds=9).violations == []


@pytest.mark.parametrize("lab", ["postgresql"], indirect=True)
def test_a_worker_that_is_cut_off_loses_its_trial_to_another_and_takes_the_next(lab: Lab) -> None:
    assert network.cut_once(lab, "closed", 3.0, SHORT)[0] == []


@pytest.mark.parametrize("lab", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_a_real_lock_timeout_and_a_real_deadlock_are_repeated_whole(lab: Lab) -> None:
    assert statements.real_conflicts(lab, 1).violations == []


@pytest.mark.parametrize("lab", ["mariadb"], indirect=True)
def test_an_error_at_any_statement_or_commit_of_an_end_is_repeated_whole(lab: Lab) -> None:
    assert statements.forced(lab, 1, ("finish",)).violations == []
