"""A study in another storage: the same there, and the same again back here; whole, or not at
all.
"""

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, inspect, select, update

import hypersearch
from search.analysis.comparison import compare_study
from search.machine.settings import Settings
from search.report.documents import compare_document
from search.spec.reading import parse_spec
from search.studies import control, copying
from search.studies.copying import Copied, copy_study
from search.studies.followups.refused import FollowUpRefused
from search.studies.this_worker import this_worker
from storage import portable, schema
from storage.artifact_folder import FolderStore
from storage.artifacts import id_of, open_artifact_store, read
from storage.copying import _with_ids
from storage.engine import Database, open_database, open_for_work
from storage.errors import (
    ArtifactsUnavailable,
    StorageUnavailable,
    StudyExists,
    StudyInUse,
    StudyNotFound,
)
from storage.hosts import this_host
from storage.leases.taking import TrialLeases
from storage.owners import Owner
from storage.predictions import read_predictions
from storage.records import read_studies
from storage.schema import lease, optuna_trials, reading
from storage.studies import find_study
from storage.urls import parse_url, sqlite_path
from tests.forked import server

MODEL, PICTURE = b"the weights", b"a picture"
NAMES = ["s", "s:confirm:1"]
SPEC = parse_spec(
    {
        "study": {"name": "s", "trials": 5, "sampler": "random", "pruner": "none"},
        "data": {"dataset": "synthetic"},
        "training": {"epochs": 2},
    }
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a storage: a study of made-up curves with two artifacts, a confirmation, and a
    reading of the test split by another study.
    """
    folder = tmp_path_factory.mktemp("copied")
    url = f"sqlite:///{folder}/a.db"
    hypersearch.run(SPEC, storage=url, threads=1)
    hypersearch.confirm("s", storage=url, top=2, seeds=2, baseline="none", threads=1)
    with open_database(url) as database:
        owner = Owner(database, open_artifact_store(root_of(url)))
        with database.transactions.read() as connection:
            trial_id = connection.scalar(select(optuna_trials.c.trial_id))
        assert trial_id is not None
        owner.add(find_study(database, "s"), trial_id, {"m.safetensors": MODEL, "p.png": PICTURE})
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path) -> str:
    """The URL of a storage of one's own with that study."""
    shutil.copytree(made, tmp_path / "here")
    return f"sqlite:///{tmp_path}/here/a.db"


def root_of(url: str) -> str:
    """Where the artifacts of a test's storage lie."""
    name = str(parse_url(url).database).replace("/", "_")
    base = os.environ.get("COPIED_ROOT")
    return (
        str(sqlite_path(parse_url(url)).with_suffix(".files") / "artifacts")
        if url.startswith("sqlite")
        else f"{base}/{name}"
    )


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPIED_ROOT", str(tmp_path / "roots"))


def copy(here: str, there: str, name: str = "s", **how: bool) -> Copied:
    settings = Settings.from_environment({})
    return copy_study(
        name,
        here,
        settings.files(here, root_of(here)),
        there,
        settings.files(there, root_of(there)),
        **how,
    )


def records(url: str) -> dict[str, Any]:
    """All that is said of the studies: `compare --json --timings` and what each image was taken
    for.
    """
    with open_database(url) as database:
        found = {}
        for name in NAMES:
            compared = compare_study(database, name)
            stored = compared.record.stored
            document = compare_document(compared, timings=True)
            predictions = read_predictions(database, stored.study_id, "test")
            found[name] = (
                json.dumps(document),
                replace(stored, study_id=0, follow_up=None),
                {number: each.classes.tolist() for number, each in predictions.items()},
            )
        return found


def readings(url: str) -> list[tuple[int, str, float | None]]:
    with open_database(url) as database, database.transactions.read() as connection:
        columns = reading.c.number, reading.c.study_name, reading.c.score
        return [tuple(row) for row in connection.execute(select(*columns).order_by(columns[0]))]


def artifacts(url: str) -> dict[bytes, set[str]]:
    """The contents in the storage's root, each with its owners."""
    store = open_artifact_store(root_of(url))
    return {
        read(store, each): set(store.owners(each))
        for each in map(id_of, (MODEL, PICTURE))
        if store.holds(each)
    }


@pytest.mark.parametrize("kind", ["postgresql", "mariadb", "sqlite"])
def test_a_copy_is_what_was_copied_there_and_back(
    here: str, kind: str, new_database: Callable[[str], str]
) -> None:
    there, back = new_database(kind), new_database("sqlite")
    assert copy(here, there) == Copied(("s:confirm:1",), 2, 0, was_there=False)
    assert copy(there, back) == Copied(("s:confirm:1",), 2, 0, was_there=False)
    assert records(here) == records(there) == records(back)
    assert readings(here) == readings(there) == readings(back) != []
    assert list(artifacts(here)) == list(artifacts(there)) == list(artifacts(back))
    with open_database(back) as database:
        assert [each.stored.name for each in read_studies(database)] == NAMES


def test_the_copy_is_worked_on_as_the_study_would_have_been(
    here: str, new_database: Callable[[str], str]
) -> None:
    there = new_database("sqlite")
    copy(here, there)
    for url in (here, there):
        with open_database(url) as database:
            control.extend(database, "s", 7)
        hypersearch.run(SPEC, storage=url, threads=1)
    one, other = (hypersearch.compare("s", storage=url) for url in (here, there))
    assert len(one.trials) == 7
    assert compare_document(one, timings=False) == compare_document(other, timings=False)


def test_a_name_that_is_there_is_refused_unless_it_is_this_copy(
    here: str, new_database: Callable[[str], str]
) -> None:
    there = new_database("sqlite")
    copy(here, there)
    shutil.rmtree(root_of(there))
    assert copy(here, there) == Copied(("s:confirm:1",), 2, 0, was_there=True)
    assert list(artifacts(there)) == [MODEL, PICTURE]
    with open_database(there) as database:
        control.extend(database, "s", 8)
    before = records(there)
    with pytest.raises(StudyExists, match=r"study 's' is in storage .* and is not what it is here"):
        copy(here, there)
    assert records(there) == before


def test_a_study_that_is_worked_on_is_refused_and_one_whose_worker_died_is_not(
    here: str, new_database: Callable[[str], str]
) -> None:
    with open_database(here) as database:
        control.extend(database, "s", 8)
    database, rdb = open_for_work(here)
    with database:
        leases = TrialLeases(database, rdb, this_worker(this_host(), "-", 1))
        held = leases.acquire(find_study(database, "s"))
        there = new_database("sqlite")
        with pytest.raises(StudyInUse, match=r"trial 5 of 's', by a worker on .*pause s'"):
            copy(here, there)
        assert not sqlite_path(parse_url(there)).exists()
        with database.transactions.write() as connection:
            connection.execute(update(lease).values(process_started=1.0))
    assert copy(here, there).was_there is False
    database, rdb = open_for_work(there)
    with database:
        leases = TrialLeases(database, rdb, this_worker(this_host(), "-", 1))
        assert leases.acquire(find_study(database, "s")).number == held.number


def test_a_follow_up_is_copied_with_its_parent_alone(
    here: str, new_database: Callable[[str], str]
) -> None:
    with pytest.raises(FollowUpRefused, match="is copied with it: 'hypersearch copy s'"):
        copy(here, new_database("sqlite"), "s:confirm:1")
    with pytest.raises(StudyNotFound):
        copy(here, new_database("sqlite"), "nobody")


def test_a_reading_comes_after_those_that_are_there(
    here: str, new_database: Callable[[str], str]
) -> None:
    there = new_database("sqlite")
    copy(here, there)
    with open_database(there) as database, database.transactions.write() as connection:
        connection.execute(update(reading).values(study_uid="of another", study_name="other"))
    database, _ = open_for_work(there)
    with database:
        control.delete(there, "s", Settings.from_environment({}).files(there, root_of(there)))
    copy(here, there)
    assert [row[:2] for row in readings(there)] == [(1, "other"), (2, "s:confirm:1")]


def test_artifacts_that_are_missing_are_told_before_anything_is_recorded(
    here: str, new_database: Callable[[str], str]
) -> None:
    (Path(root_of(here)) / id_of(PICTURE)).unlink()
    there = new_database("sqlite")
    with pytest.raises(ArtifactsUnavailable, match="1 of the 2 that the study names are not there"):
        copy(here, there)
    assert not Path(root_of(there)).exists()
    with pytest.raises(StudyNotFound):
        records(there)
    assert copy(here, there, skips_missing=True).missing == 1
    assert list(artifacts(there)) == [MODEL]
    assert records(here) == records(there)


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_in_a_root_that_both_have_each_keeps_what_the_other_deletes(
    here: str,
    kind: str,
    new_database: Callable[[str], str],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    one, other = new_database("sqlite"), new_database("sqlite")
    settings = Settings.from_environment({})
    root = request.getfixturevalue("bucket") if kind == "bucket" else str(tmp_path / "both")
    first, second = settings.files(one, root), settings.files(other, root)
    copy_study("s", here, settings.files(here, root_of(here)), one, first)
    assert copy_study("s", one, first, other, second).artifacts == 2
    store = open_artifact_store(root)
    assert len(store.owners(id_of(MODEL))) == 2
    control.delete(one, "s", first)
    assert read(store, id_of(MODEL)) == MODEL
    control.delete(other, "s", second)
    assert not store.holds(id_of(MODEL))


def test_what_another_database_cannot_hold_is_not_copied_at_all(
    here: str, new_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = new_database("sqlite")
    monkeypatch.setattr(
        "storage.copying._with_ids",
        lambda part, *ids: [
            row | ({"reason": "?"} if part.table is schema.attempt else {})
            for row in _with_ids(part, *ids)
        ],
    )
    with pytest.raises(StorageUnavailable, match=r"not hold study 's' exactly .*_attempt"):
        copy(here, there)
    with pytest.raises(StudyNotFound):
        records(there)
    assert artifacts(there) == {}


def _copy_until(here: str, there: str, last: int, steps: "Queue[int]") -> None:
    """Copies, and is killed at that step: a statement, a file, or a commit; says how many there
    were.
    """
    taken = count()

    def go_on(*_: object) -> None:
        if next(taken) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    opened = copying.open_for_work

    def open_watched(url: str) -> tuple[Database, object]:
        database, rdb = opened(url)
        for moment in ("before_cursor_execute", "commit"):
            event.listen(database.engine, moment, go_on)
        return database, rdb

    copying.open_for_work = open_watched  # type: ignore[assignment]
    for name in ("mark", "write"):
        method = getattr(FolderStore, name)

        def watched(self: FolderStore, *given: Any, method: Any = method) -> None:
            go_on()
            method(self, *given)

        setattr(FolderStore, name, watched)
    copy(here, there)
    steps.put(next(taken))


def test_killed_at_any_step_it_is_whole_or_not_there_and_the_next_call_ends_it(
    here: str, tmp_path: Path
) -> None:
    expected, context, empty = records(here), server(), tmp_path / "empty.db"
    open_for_work(f"sqlite:///{empty}")[0].engine.dispose()

    def killed_at(step: int) -> int:
        """How many steps there were, or 0; a second call finds what it left, and ends it."""
        there = f"sqlite:///{tmp_path}/{step}.db"
        shutil.copy(empty, tmp_path / f"{step}.db")
        steps = context.Queue()
        process = context.Process(target=_copy_until, args=(here, there, step, steps))
        process.start()
        process.join(60)
        assert process.exitcode == (-signal.SIGKILL if step >= 0 else 0)
        with open_database(there) as database:
            names = [each.stored.name for each in read_studies(database)]
        assert names in ([], NAMES)
        assert copy(here, there).was_there is (names == NAMES)
        assert records(there) == expected
        assert list(artifacts(there)) == [MODEL, PICTURE]
        left.append(names == NAMES)
        return steps.get() if step < 0 else 0

    left: list[bool] = []
    steps = killed_at(-1)
    for step in (1, steps // 2, steps - 1):
        killed_at(step)
    assert left == [True, False, False, True]


def test_every_column_of_a_study_is_copied(here: str) -> None:
    """Whatever refers to a study or a trial, in Optuna's tables or ours."""
    engine = create_engine(here)
    inspector = inspect(engine)
    known = {each.name: each for each in (*portable.OF_STUDY, portable.trials, *portable.OF_TRIAL)}
    for name in inspector.get_table_names():
        of = {key["referred_table"] for key in inspector.get_foreign_keys(name)}
        if of & {"studies", "trials"} and name != "trial_heartbeats":
            columns = {each["name"] for each in inspector.get_columns(name)}
            assert {each.name for each in known.pop(name).columns} == columns, name
    assert known == {}
    engine.dispose()
