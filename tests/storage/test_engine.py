"""Setting a database up, at once and from an older version, and saying what is wrong with one."""

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from sqlalchemy import select, text

from lab.servers import free_port
from storage import schema
from storage.clock import now_ms
from storage.engine import open_database, open_for_work
from storage.errors import StorageUnavailable, StorageURLError
from storage.urls import parse_url, shown_url
from tests.forked import server


def test_the_databases_clock_is_utc_milliseconds_and_goes_on_in_a_transaction(
    shared_url: str,
) -> None:
    database, _ = open_for_work(shared_url)
    with database, database.transactions.read() as connection:
        before = time.time() * 1000
        first = connection.scalar(select(now_ms()))
        time.sleep(0.2)
        second = connection.scalar(select(now_ms()))
    assert first is not None
    assert second is not None
    assert abs(first - before) < 5000
    assert 150 < second - first < 5000


@pytest.mark.parametrize("backend", ["sqlite", "postgresql", "mariadb"])
def test_eight_processes_open_an_empty_database_at_once(
    backend: str, new_database: Callable[[str], str]
) -> None:
    url = new_database(backend)
    processes = [server().Process(target=open_for_work, args=(url,)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 8


def test_threads_of_one_process_make_databases_at_once(tmp_path: Path) -> None:
    def make(number: int) -> str:
        database, _ = open_for_work(f"sqlite:///{tmp_path}/{number}.db")
        with database, database.transactions.read() as connection:
            return str(connection.scalar(text(f"SELECT version_num FROM {schema.VERSION_TABLE}")))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(make, range(4))) == [schema.HEAD] * 4


def test_a_database_is_opened_while_its_last_writer_closes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files that a writer keeps beside it go at any moment, also between two looks at them."""
    url = f"sqlite:///{tmp_path}/a.db"
    with open_for_work(url)[0]:
        pass
    there = Path.exists

    def exists(path: Path) -> bool:
        return path.name == "a.db-wal" or there(path)

    monkeypatch.setattr(Path, "exists", exists)
    with open_database(url) as database, database.transactions.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM studies")) == 0


def test_a_file_that_is_no_database_of_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text(
        "a letter to a friend, long enough to be no header of SQLite" * 20
    )
    with pytest.raises(StorageUnavailable, match="is not a database of hypersearch or Optuna"):
        open_database(f"sqlite:///{tmp_path}/a.db")


@pytest.mark.parametrize("made", range(1, 16, 2))
def test_tables_that_are_there_in_part_are_being_made_or_were_left_by_a_process_that_died(
    tmp_path: Path, made: int
) -> None:
    RDBStorage(f"sqlite:///{tmp_path}/whole.db")
    with (
        closing(sqlite3.connect(tmp_path / "whole.db")) as whole,
        closing(sqlite3.connect(tmp_path / "a.db")) as part,
    ):
        statements = whole.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
        ).fetchall()
        assert len(statements) == 15
        for (statement,) in statements[:made]:
            part.execute(statement)
        part.commit()
    with pytest.raises(StorageUnavailable, match=r"^no study in"):
        open_database(f"sqlite:///{tmp_path}/a.db")
    database, rdb = open_for_work(f"sqlite:///{tmp_path}/a.db")
    with database:
        assert rdb.get_all_studies() == []


@pytest.mark.parametrize(
    "table", ["users (id INTEGER)", "studies (id INTEGER, subject TEXT)", "trials (court TEXT)"]
)
def test_a_database_of_something_else_is_left_alone(tmp_path: Path, table: str) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as theirs:
        theirs.execute(f"CREATE TABLE {table}")
    for open_it in (open_database, open_for_work):
        with pytest.raises(StorageUnavailable, match="is not a database of hypersearch or Optuna"):
            open_it(f"sqlite:///{tmp_path}/a.db")
    with closing(sqlite3.connect(tmp_path / "a.db")) as theirs:
        assert theirs.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_server_that_is_not_there_is_told_in_one_line_without_its_password(scheme: str) -> None:
    url = f"{scheme}://me:hush@127.0.0.1:{free_port()}/x?password=hush"
    if scheme == "mysql":
        url = url.partition("?")[0]
    with pytest.raises(StorageUnavailable) as gone:
        open_database(url)
    assert "hush" not in str(gone.value)
    assert "\n" not in str(gone.value)
    assert "127.0.0.1" in str(gone.value)


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("postgres://a@h/d", "postgresql+psycopg://a@h/d"),
        ("postgresql+psycopg://a:b{c}@h/d", "postgresql+psycopg://a:***@h/d"),
        ("mariadb://a@h:1/d", "mysql+pymysql://a@h:1/d"),
        ("mysql+pymysql://a@h/d", "mysql+pymysql://a@h/d"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
    ],
)
def test_urls_that_people_write_are_understood(text: str, accepted: str) -> None:
    assert shown_url(parse_url(text)) == accepted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "sqlite://",
        "oracle://a:hush@h/d",
        "postgresql://h",
        "mysql+mysqldb://a:hush@h/d",
        "a//me:hush@h",
    ],
)
def test_urls_that_cannot_be_used_are_refused_without_their_password(text: str) -> None:
    with pytest.raises(StorageURLError) as refused:
        parse_url(text)
    assert "hush" not in str(refused.value)
