"""Faults of the database: short runs of lab.faults, on real servers; 'make faults' runs all
of them.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.faults import statements
from lab.faults.lab import SERVERS, Lab, closing_lab
from lab.servers import Server


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """On the session's server, or on a SQLite file."""
    backend: str = request.param
    server: Server | None = request.getfixturevalue(backend) if backend in SERVERS else None
    with closing_lab(Lab(backend, tmp_path, server)) as made:
        yield made


@pytest.mark.parametrize("lab", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_a_real_lock_timeout_and_a_real_deadlock_are_repeated_whole(lab: Lab) -> None:
    assert statements.real_conflicts(lab, 1).violations == []


@pytest.mark.parametrize("lab", ["mariadb"], indirect=True)
def test_an_error_at_any_statement_or_commit_of_an_end_is_repeated_whole(lab: Lab) -> None:
    assert statements.forced(lab, 1, ("finish",)).violations == []
