"""Who goes first where many write to one file."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from storage.database_errors import is_passing
from storage.engine import open_for_work


def test_of_those_who_wait_for_the_writer_of_sqlite_the_urgent_one_goes_first(
    tmp_path: Path,
) -> None:
    database, _ = open_for_work(f"sqlite:///{tmp_path}/s.db", connections=4)
    transactions = database.transactions

    def first_to_come() -> str:
        came: list[str] = []

        def write(name: str) -> None:
            with transactions.write(urgent=name == "urgent"):
                came.append(name)

        with ThreadPoolExecutor(3) as pool:
            with transactions.write():
                waiting = [pool.submit(write, name) for name in ("ordinary", "ordinary", "urgent")]
                # Whoever has waited so long asks every 100 ms.
                time.sleep(0.4)
            for each in waiting:
                each.result()
        return came[0]

    with database:
        assert [first_to_come() for _ in range(5)].count("urgent") >= 4


def test_an_urgent_writer_of_sqlite_has_the_patience_of_all_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("storage.backends.sqlite.BUSY_TIMEOUT_SECONDS", 0.2)
    database, _ = open_for_work(f"sqlite:///{tmp_path}/s.db", connections=2)
    transactions = database.transactions
    with database:
        with (
            transactions.write(),
            pytest.raises(OperationalError, match="locked") as refused,
            transactions.write(urgent=True),
        ):
            pytest.fail("two write at once")
        assert is_passing(refused.value)
        with transactions.write(urgent=True):
            pass
        with transactions.read() as one, transactions.read() as other:
            assert [each.scalar(text("PRAGMA busy_timeout")) for each in (one, other)] == [200, 200]
