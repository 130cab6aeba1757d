"""A database that an older release made is brought up to date when it is asked for, and loses
nothing.
"""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from optuna import logging as optuna_logging
from sqlalchemy import Connection, MetaData, Row, create_engine, select, text

from objectives.hyperparameters import Hyperparameters
from objectives.protocol import Pulse, ResumableTraining
from objectives.synthetic import synthetic_curve
from search.machine.this_machine import Files
from search.spec.definition import stored_spec
from search.studies.joining import JoinedStudy
from search.studies.this_worker import this_worker
from search.worker.events import Event, TrialFinished
from search.worker.loop import work, workplace
from search.worker.objective import Objective
from storage import migrations, schema
from storage.computing import Computing
from storage.engine import Database, open_database, open_for_work, upgrade_database
from storage.errors import StorageUnavailable
from storage.hosts import this_host
from storage.records import read_trials
from storage.studies import find_study
from storage.urls import parse_url, shown_url, sqlite_path

DATA = Path(__file__).parent / "data"
BACKENDS = ("sqlite", "postgresql", "mariadb")
# Releases had these revisions, the last one last.
OLDER = ("0002", "0003", "0004", "0005")

Rows = dict[str, list[Row[tuple[object, ...]]]]


def load(dump: str, url: str) -> None:
    """Fills an empty database with a dump of its kind, over the driver alone."""
    parsed = parse_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            with closing(sqlite3.connect(sqlite_path(parsed))) as file:
                file.executescript(dump)
        case "postgresql":
            import psycopg

            with psycopg.connect(url) as server:
                server.execute(dump.encode())
        case _:
            import pymysql

            assert parsed.host is not None
            assert parsed.port is not None
            with (
                pymysql.connect(
                    host=parsed.host, port=parsed.port, user="root", database=parsed.database
                ) as client,
                client.cursor() as cursor,
            ):
                cursor.execute("SET foreign_key_checks = 0")
                for statement in dump.rstrip(";\n").split(";\n"):
                    cursor.execute(statement)
                client.commit()


@pytest.fixture(params=OLDER)
def before(request: pytest.FixtureRequest) -> str:
    """The revision of an older release."""
    return str(request.param)


@pytest.fixture(params=BACKENDS)
def old_url(before: str, request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> str:
    """A database of each kind in turn as that release made it: data/schema-*.sql, by
    dump_release.py.
    """
    url = new_database(request.param)
    load((DATA / f"schema-{before}-{request.param}.sql").read_text(), url)
    return url


def refusal(revision: str, url: str) -> str:
    return (
        f"the database has hypersearch's schema {revision}, older than this program: stop its"
        f" workers, back it up, and run 'hypersearch upgrade --storage {shown_url(parse_url(url))}'"
    )


def is_as_the_models_say(connection: Connection) -> bool:
    ours = {table.name for table in schema.OURS}
    context = MigrationContext.configure(
        connection,
        opts={
            "include_object": lambda item, name, kind, reflected, other: (
                kind != "table" or name in ours
            ),
            # Alembic takes the DOUBLE of MySQL for no FLOAT(53).
            "compare_type": (connection.dialect.name != "mysql"),
        },
    )
    return bool(compare_metadata(context, schema.metadata) == [])


def looking_at(url: str) -> Database:
    """A database whatever its version."""
    return Database(parse_url(url), create_engine(parse_url(url)))


def rows_of(database: Database, like: Rows | None = None) -> Rows:
    """Every row of every table, whole or, as far as it goes, with the columns that `like` has."""
    with database.transactions.read() as connection:
        tables = MetaData()
        tables.reflect(connection)
        return {
            name: list(
                connection.execute(
                    select(
                        *(
                            table.c
                            if like is None
                            else (table.c[key] for key in like[name][0]._fields)
                        )
                    ).order_by(*table.primary_key)
                )
            )
            for name, table in tables.tables.items()
            if name != schema.VERSION_TABLE and (like is None or like.get(name))
        }


def work_to_the_end(
    url: str, folder: Path, tell: Callable[[Event], None] = lambda event: None
) -> None:
    """A worker of this release in this process."""

    def train(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        return synthetic_curve(hyperparameters, 4, seed, resume=resume, pulse=pulse)

    optuna_logging.set_verbosity(optuna_logging.WARNING)
    database, rdb = open_for_work(url)
    with database:

        def choose() -> list[JoinedStudy]:
            stored = find_study(database, "kept")
            return [JoinedStudy(stored, stored_spec(stored))]

        files = Files(str(folder / "artifacts"), folder / "checkpoints")
        with workplace(database, rdb, this_worker(this_host(), "-", 0), files) as place:
            for event in work(
                place, rdb, choose, lambda spec: Objective(train, "none", Computing(1))
            ):
                tell(event)


def test_the_migrations_make_the_tables_of_the_schema(shared_url: str) -> None:
    database, _ = open_for_work(shared_url)
    with database, database.engine.connect() as connection:
        assert is_as_the_models_say(connection)


def test_the_releases_that_are_upgraded_are_all_but_this_one() -> None:
    versions = Path(migrations.__path__[0]) / "versions"
    assert sorted(path.name[:4] for path in versions.glob("*.py")) == ["0001", *OLDER, schema.HEAD]


def test_a_database_of_an_older_release_is_upgraded_when_asked_with_all_that_it_holds(
    before: str, old_url: str
) -> None:
    for open_it in (open_database, open_for_work):
        with pytest.raises(StorageUnavailable) as older:
            open_it(old_url)
        assert str(older.value) == refusal(before, old_url)
    with looking_at(old_url) as old:
        held = rows_of(old)
    assert upgrade_database(old_url) == (before, schema.HEAD)
    with open_database(old_url) as upgraded:
        assert rows_of(upgraded, like=held) == {name: rows for name, rows in held.items() if rows}
        with upgraded.engine.connect() as connection:
            assert is_as_the_models_say(connection)
    assert upgrade_database(old_url) == (schema.HEAD, schema.HEAD)


def test_a_study_of_an_older_release_is_worked_on_to_its_end(old_url: str, tmp_path: Path) -> None:
    upgrade_database(old_url)
    with open_database(old_url) as database:
        stored = find_study(database, "kept")
        held = read_trials(database, stored.study_id)
        assert [(trial.state, len(trial.epochs)) for trial in held] == [
            ("complete", 4),
            ("pruned", 2),
            ("running", 1),
        ]
        assert [trial.cause for trial in held] == [None, "pruner", None]
    work_to_the_end(old_url, tmp_path)
    with open_database(old_url) as database:
        stored = find_study(database, "kept")
        after = read_trials(database, stored.study_id)
    assert (stored.state, stored.end_reason) == ("ended", "trials")
    assert after[:2] == held[:2]
    assert after[2].parameters == held[2].parameters
    assert after[2].epochs[0] == held[2].epochs[0]
    assert [(trial.threads, trial.piece) for trial in after] == [(1, None)] * 4
    assert [(trial.state, trial.attempts) for trial in after[2:]] == [
        ("complete", 2),
        ("complete", 1),
    ]


# Is killed once the statements that it was told have changed a table: on MySQL each of them commits
# by itself.
KILLED = """
import os, signal, sys
from sqlalchemy import Engine, event
from storage.engine import upgrade_database

left = int(sys.argv[2])

@event.listens_for(Engine, "after_cursor_execute")
def count(connection, cursor, statement, *_):
    global left
    changes = ("ALTER TABLE hypersearch", "CREATE TABLE IF NOT EXISTS hypersearch")
    left -= statement.lstrip().startswith(changes)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

upgrade_database(sys.argv[1])
"""


# (statements before it is killed, the revision that is left), one after the other. From 0002:
# before the last of the four columns of 0003; when that and the new table are there; and, after the
# table that is there already, when the column of 0004 is. From 0004: when the column is there, and
# before what it holds is. From 0005: when half of the tables of 0006 are there.
KILLS = {
    "0002": [(3, "0002"), (2, "0002"), (2, "0003")],
    "0003": [(1, "0003")],
    "0004": [(1, "0004")],
    "0005": [(3, "0005")],
}


@pytest.mark.parametrize("old_url", ["mariadb"], indirect=True)
def test_an_upgrade_that_is_killed_half_way_goes_through_when_it_is_run_again(
    before: str, old_url: str
) -> None:
    with looking_at(old_url) as old:
        held = rows_of(old)
    left = before
    for statements, left in KILLS[before]:
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, old_url, str(statements)], timeout=60
        )
        assert killed.returncode == -signal.SIGKILL
        with pytest.raises(
            StorageUnavailable, match=f"has hypersearch's schema {left}, older than this program"
        ):
            open_database(old_url)
    assert upgrade_database(old_url) == (left, schema.HEAD)
    with open_database(old_url) as upgraded:
        assert rows_of(upgraded, like=held) == {name: rows for name, rows in held.items() if rows}
        with upgraded.engine.connect() as connection:
            assert is_as_the_models_say(connection)


def test_a_database_of_the_first_release_is_upgraded(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    load((DATA / "schema-0001.sql").read_text(), url)
    assert upgrade_database(url) == ("0001", schema.HEAD)
    with open_database(url) as database, database.transactions.read() as connection:
        assert connection.execute(select(schema.study.c.uid, schema.study.c.priority)).all() == [
            ("u" * 32, 0)
        ]


NEWER = "the database has schema 9999, newer than this program: pip install -U hypersearch"


def make_newer(url: str) -> None:
    with looking_at(url) as database, database.engine.begin() as connection:
        connection.execute(text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))


def test_a_newer_database_is_left_alone(url: str) -> None:
    open_for_work(url)[0].engine.dispose()
    make_newer(url)
    for open_it in (open_database, open_for_work, upgrade_database):
        with pytest.raises(StorageUnavailable) as newer:
            open_it(url)
        assert str(newer.value) == NEWER


@pytest.mark.parametrize(
    "command",
    [["worker"], ["worker", "--workers", "2", "--threads", "1"], ["list"], ["upgrade"]],
    ids=lambda command: "-".join(command[:2]),
)
def test_a_command_of_an_older_program_leaves_a_newer_database_with_one_line(
    command: list[str], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    open_for_work(url)[0].engine.dispose()
    make_newer(url)
    left = subprocess.run(
        [sys.executable, "-m", "hypersearch", *command],
        env=os.environ | {"HYPERSEARCH_STORAGE": url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (left.returncode, left.stdout, left.stderr) == (3, "", f"hypersearch: {NEWER}\n")


def test_a_worker_takes_no_more_trials_once_a_newer_program_has_upgraded_the_database(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    load((DATA / f"schema-{OLDER[-1]}-sqlite.sql").read_text(), url)
    upgrade_database(url)

    def upgrade_once_a_trial_has_ended(event: Event) -> None:
        if isinstance(event, TrialFinished):
            make_newer(url)

    with pytest.raises(StorageUnavailable) as newer:
        work_to_the_end(url, tmp_path, upgrade_once_a_trial_has_ended)
    assert str(newer.value) == NEWER
    with looking_at(url) as database:
        ended = [
            trial.state for trial in read_trials(database, find_study(database, "kept").study_id)
        ]
    assert ended == ["complete", "pruned", "complete"]
