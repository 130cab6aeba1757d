"""Pictures of incumbents are drawn beside the training, and none is lost with whoever should have
drawn it.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import optuna
import pytest

import hypersearch
from objectives.examined import Examination, WrongImage
from search.spec.reading import parse_spec
from search.spec.request import Request
from search.spec.study_spec import StudySpec
from search.studies.joining import create_or_join
from search.studies.this_worker import this_worker
from search.worker.drawing import draw_missing, undrawn
from search.worker.illustrator import Illustrator
from search.worker.pictures import incumbent_files, incumbent_pictures
from storage.artifact_names import read_artifacts
from storage.artifact_store import ArtifactStore
from storage.artifacts import (
    StoredArtifact,
    attributes,
    open_artifact_store,
    put,
    read,
)
from storage.engine import Database, open_database, open_for_work
from storage.errors import StudyDeleted
from storage.hosts import this_host
from storage.leases.taking import TrialLeases
from storage.owners import Owner
from storage.records import EpochRecord
from storage.studies import StoredStudy, find_study
from storage.study_control import delete_study

EXAMINATION = Examination(
    np.eye(2, dtype=np.int64), (WrongImage(4, np.zeros((1, 2, 2), np.uint8), 0, 1, 0.75),)
)
EPOCH = EpochRecord(1, 2.25, 0.25, 2.0, 0.3125, 0.3, 0.2, 0.01, 0.5, 1.5, 1000.0, None)
AT_ONCE = {"model.safetensors", "learning-curve.csv", "confusion-matrix.csv", "examination.npz"}
PICTURES = {"learning-curve.png", "confusion-matrix.png", "wrongly-classified.png"}


def incumbent(url: str, store: ArtifactStore) -> StoredStudy:
    """A study whose one trial is complete and has all that is kept at once."""
    create_or_join(
        url, Request({"study": {"name": "s"}, "data": {"dataset": "synthetic"}}, {}, "test")
    )
    database, rdb = open_for_work(url)
    with database:
        leases = TrialLeases(database, rdb, this_worker(this_host(), "-", 0))
        stored = find_study(database, "s")
        held = leases.acquire(stored)
        leases.report(held, EPOCH, 0.5)
        kept = Owner(database, store).put(incumbent_files(b"weights", [EPOCH], EXAMINATION, "ab"))
        named = {key: json.dumps(value) for key, value in attributes(kept).items()}
        leases.finish(held, "complete", value=0.5, system_attributes=named)
    return stored


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return open_artifact_store(f"{tmp_path}/artifacts")


def pictures_of(url: str, store: ArtifactStore, stored: StoredStudy) -> list[dict[str, bytes]]:
    """Of each trial that has artifacts, as Optuna finds them."""
    database, rdb = open_for_work(url)
    with database:
        trials = rdb.get_all_trials(stored.study_id)
        kept = [optuna.artifacts.get_all_artifact_meta(trial, storage=rdb) for trial in trials]
    return [
        {
            meta.filename: read(store, meta.artifact_id)
            for meta in metas
            if meta.mimetype == "image/png"
        }
        for metas in kept
        if metas
    ]


def test_what_is_missing_is_drawn_once_by_however_many_at_once(
    url: str, store: ArtifactStore
) -> None:
    stored = incumbent(url, store)

    def draw(_: int) -> None:
        with open_database(url) as database:
            draw_missing(database, store, stored)

    with open_database(url) as database:
        assert len(undrawn(database, stored.study_id)) == 1
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(draw, range(2)))
    assert pictures_of(url, store, stored) == [incumbent_pictures([EPOCH], EXAMINATION, "ab")]
    with open_database(url) as database:
        assert undrawn(database, stored.study_id) == {}


def test_pictures_of_a_study_that_was_deleted_meanwhile_are_not_kept(
    tmp_path: Path, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    stored = incumbent(url, store)
    database, rdb = open_for_work(url)
    put_files = Owner.put

    def put_and_delete(self: Owner, files: dict[str, bytes]) -> tuple[StoredArtifact, ...]:
        kept = put_files(self, files)
        delete_study(database, rdb, stored)
        return kept

    with database:
        monkeypatch.setattr(Owner, "put", put_and_delete)
        with pytest.raises(StudyDeleted):
            draw_missing(database, store, stored)
    there = {path.name for path in (tmp_path / "artifacts").iterdir()}
    assert (
        there
        & {artifact.artifact_id for artifact in put(open_artifact_store(f"{tmp_path}/b"), drawn())}
        == set()
    )


def drawn() -> dict[str, bytes]:
    return incumbent_pictures([EPOCH], EXAMINATION, "ab")


def test_what_a_picture_cannot_be_drawn_from_costs_that_picture(
    tmp_path: Path, store: ArtifactStore, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    stored = incumbent(url, store)
    with open_database(url) as database:
        (artifact_id,) = undrawn(database, stored.study_id).values()
        (tmp_path / "artifacts" / artifact_id).write_bytes(b"damaged")
        draw_missing(database, store, stored)
    assert pictures_of(url, store, stored) == [{}]
    assert [
        message.endswith("; its trial goes without pictures") for message in caplog.messages
    ] == [True]


@pytest.fixture
def told(tmp_path: Path, store: ArtifactStore) -> Iterator[tuple[Database, StoredStudy]]:
    stored = incumbent(f"sqlite:///{tmp_path}/a.db", store)
    with open_database(f"sqlite:///{tmp_path}/a.db") as database:
        yield database, stored


def test_the_process_that_draws_is_waited_for_and_started_again_when_it_has_died(
    told: tuple[Database, StoredStudy], tmp_path: Path
) -> None:
    database, stored = told
    with Illustrator(database, f"{tmp_path}/artifacts") as illustrator:
        illustrator.draw("nothing of that name")
        assert illustrator.process is not None
        illustrator.process.kill()
        illustrator.process.wait()
        illustrator.draw("nothing of that name")
        illustrator.draw(stored.name)
    assert set(read_artifacts(database, stored.study_id)[1]) == AT_ONCE | PICTURES


def test_a_process_that_draws_goes_on_when_its_worker_is_killed(
    told: tuple[Database, StoredStudy], tmp_path: Path
) -> None:
    database, stored = told
    code = f"""
import os, signal
from search.worker.illustrator import Illustrator
from storage.engine import open_database

with (
    open_database("sqlite:///{tmp_path}/a.db") as database,
    Illustrator(database, "{tmp_path}/artifacts") as drawing,
):
    drawing.draw("s")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    wait_until(lambda: undrawn(database, stored.study_id) == {})


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def digits() -> StudySpec:
    return parse_spec(
        {
            "study": {"name": "s", "trials": 2, "sampler": "random", "pruner": "none"},
            "data": {"dataset": "digits"},
            "training": {"epochs": 1},
            "model": {"channels": [4], "hidden_units": 8},
            "space": {"batch_size": 32, "augmentation": "none"},
        },
        "test",
    )


@pytest.mark.long
def test_a_worker_that_trains_draws_nothing_itself_and_pictures_are_there_when_the_study_has_ended(
    tmp_path: Path,
) -> None:
    (tmp_path / "s.toml").write_text(
        '[study]\nname = "s"\ntrials = 2\nsampler = "random"\npruner = "none"\n[data]\ndataset ='
        ' "digits"\n[training]\nepochs = 1\n[model]\nchannels = [4]\nhidden_units ='
        ' 8\n[space]\nbatch_size = 32\naugmentation = "none"\n'
    )
    code = f"""
import sys
import hypersearch

spec = hypersearch.load_spec("{tmp_path}/s.toml")
hypersearch.run(spec, storage="sqlite:///{tmp_path}/a.db", threads=1)
assert "matplotlib" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, timeout=120, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with open_database(f"sqlite:///{tmp_path}/a.db") as database:
        found = read_artifacts(database, find_study(database, "s").study_id)
        assert found
        assert [set(names) - {"wrongly-classified.png"} for names in found.values()] == [
            AT_ONCE | PICTURES - {"wrongly-classified.png"} for _ in found
        ]


def test_whoever_works_on_a_study_next_draws_what_a_worker_that_was_killed_left_undrawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    with monkeypatch.context() as killed:
        killed.setattr(Illustrator, "draw", lambda self, study: None)
        hypersearch.run(digits(), storage=url, threads=1)
    with open_database(url) as database:
        stored = find_study(database, "s")
        missing = undrawn(database, stored.study_id)
        assert missing
        hypersearch.run(digits(), storage=url, threads=1)
        assert undrawn(database, stored.study_id) == {}
        found = read_artifacts(database, stored.study_id)
        assert all(
            PICTURES - {"wrongly-classified.png"} <= set(found[trial_id]) for trial_id in missing
        )
