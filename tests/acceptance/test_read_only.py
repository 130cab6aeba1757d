"""A SQLite database that may only be read is looked at as it is, or told with its mend; whoever
works is told at once.

Permissions do not bind root, so the commands run in a namespace of users, where this user is
nobody.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from search.spec.request import Request
from search.studies.joining import create_or_join
from storage.database_errors import mend
from storage.engine import open_for_work
from storage.errors import WRITABLE
from tests.conftest import missing, runs

NOBODY = ["unshare", "--user", "--map-user=54321", "--map-group=54321"]
LOOKING = (["list"], ["status", "s"], ["compare", "s", "--json"], ["spec", "show", "s"])
WORKING = (
    ["run", "--dataset", "digits"],
    ["run", "--study", "s"],
    ["worker"],
    ["stop", "s"],
    ["delete", "s", "--yes"],
    ["upgrade"],
)


# One process for many commands: each process takes a second to start.
PROGRAM = """
import contextlib, io, json, sys
from search.cli.main import main
for arguments in json.load(sys.stdin):
    sys.argv = ["hypersearch", *arguments]
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    print(json.dumps([code, errors.getvalue()]))
"""


def hypersearch(folder: Path, *commands: list[str]) -> list[tuple[int, str]]:
    """The exit code of each command, and what it said of a failure."""
    storage = ["--storage", f"sqlite:///{folder}/a.db"]
    done = subprocess.run(
        [*NOBODY, sys.executable, "-c", PROGRAM],
        input=json.dumps([[*command, *storage] for command in commands]),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    ends: list[tuple[int, str]] = [
        (code, said) for code, said in map(json.loads, done.stdout.splitlines())
    ]
    return ends


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a database of one study, all of it read-only."""
    missing("unshare with the right to make a namespace of users", runs([*NOBODY, "true"]))
    made = tmp_path / "folder"
    made.mkdir()
    document = {"study": {"name": "s", "trials": 1}, "data": {"dataset": "synthetic"}}
    create_or_join(f"sqlite:///{made}/a.db", Request(document, {}, "test"))
    yield made
    made.chmod(0o755)


def close(folder: Path) -> list[str]:
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    return sorted(path.name for path in folder.iterdir())


def test_what_only_looks_reads_a_file_in_a_folder_that_cannot_be_written_to(folder: Path) -> None:
    before = close(folder)
    ends = hypersearch(folder, *LOOKING, *WORKING, ["pause", "s"])
    refused = f"hypersearch: storage sqlite:///{folder}/a.db can only be read: {WRITABLE}\n"
    failed = f"hypersearch: the storage failed: attempt to write a readonly database; {WRITABLE}\n"
    assert ends == [(0, "")] * len(LOOKING) + [(3, refused)] * len(WORKING) + [(3, failed)]
    assert sorted(path.name for path in folder.iterdir()) == before


def test_looking_leaves_nothing_beside_a_file_that_is_anothers(folder: Path) -> None:
    (folder / "a.db").chmod(0o444)
    before = sorted(path.name for path in folder.iterdir())
    assert hypersearch(folder, ["list"]) == [(0, "")]
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize("besides", [("-wal", "-shm"), ("-wal",)])
def test_what_was_committed_to_a_wal_is_read_or_the_database_is_not(
    folder: Path, besides: tuple[str, ...]
) -> None:
    with closing(sqlite3.connect(folder / "a.db", isolation_level=None)) as writer:
        # A writer that was killed leaves it so: the last commit is in the WAL alone.
        writer.execute("UPDATE studies SET study_name = 'renamed'")
        shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)
    for ending in {"-wal", "-shm"} - set(besides):
        (folder / f"a.db{ending}").unlink()
    close(folder)
    if "-shm" in besides:
        assert hypersearch(folder, ["status", "renamed"]) == [(0, "")]
    else:
        told = (
            f"storage sqlite:///{folder}/a.db cannot be used: unable to open database file;"
            f" {WRITABLE}"
        )
        assert hypersearch(folder, ["status", "renamed"]) == [(3, f"hypersearch: {told}\n")]


def test_a_new_database_in_a_folder_that_cannot_be_written_to_is_told(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    close(folder)
    told = (
        f"hypersearch: {folder}, where the database should lie, cannot be written to by this user:"
        " let it, or name another with --storage\n"
    )
    # The second one would decode images before it makes a study.
    assert hypersearch(folder, ["worker"], ["run", "--dataset", "digits"]) == [(3, told)] * 2


@pytest.mark.parametrize(
    ("code", "helps"),
    [
        (sqlite3.SQLITE_READONLY, WRITABLE),
        (sqlite3.SQLITE_READONLY | 6 << 8, WRITABLE),
        (sqlite3.SQLITE_CANTOPEN, WRITABLE),
        (sqlite3.SQLITE_FULL, "make room on its disk"),
        (sqlite3.SQLITE_IOERR | 3 << 8, "see to its disk; a network file system does not serve"),
        (sqlite3.SQLITE_BUSY, "see which other process holds it"),
        (sqlite3.SQLITE_CORRUPT, "take a backup, or save what 'sqlite3 FILE .recover' finds"),
        (sqlite3.SQLITE_MISUSE, None),
    ],
)
def test_errors_of_sqlite_have_their_mend(code: int, helps: str | None) -> None:
    original = sqlite3.OperationalError("it failed")
    original.sqlite_errorcode = code
    assert mend(OperationalError("SELECT", None, original)) == helps


def test_a_full_disk_is_told_with_its_mend(tmp_path: Path) -> None:
    database, _ = open_for_work(f"sqlite:///{tmp_path}/a.db")
    with database, database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(OperationalError) as full:
            connection.exec_driver_sql("CREATE TABLE t AS SELECT zeroblob(1000000)")
    assert mend(full.value) == "make room on its disk"
