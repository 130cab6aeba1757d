"""Which checkpoints are removed when a worker starts."""

import os
import shutil
from pathlib import Path

import pytest

from search.spec.request import Request
from search.studies.joining import create_or_join
from search.studies.sweep import own_checkpoints, sweep_checkpoints
from search.studies.this_worker import this_worker
from storage.engine import open_for_work
from storage.hosts import this_host
from storage.leases.taking import TrialLeases


def test_checkpoints_of_ended_trials_and_of_deleted_studies_are_removed_and_no_others(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    stored = create_or_join(url, Request({"data": {"dataset": "synthetic"}}, {}, "test")).stored
    root = tmp_path / "checkpoints"
    database, rdb = open_for_work(url)
    with database:
        ours = own_checkpoints(database, root)
        another, before = root / "another database", root / "a study of the release before"
        for folder in (
            ours / stored.uid / "0",
            ours / stored.uid / "1",
            ours / "deleted" / "0",
            another / stored.uid / "0",
        ):
            folder.mkdir(parents=True)
            (folder / "1-1.ckpt").write_bytes(b"x")
        (before / "0").mkdir(parents=True)
        (before / "0" / "1-1.ckpt").write_bytes(b"x")
        for folder in (another, before):
            # The folders are as old as can be.
            os.utime(folder, (0, 0))
        leases = TrialLeases(database, rdb, this_worker(this_host(), "-", 0))
        leases.finish(leases.acquire(stored), "complete", value=0.5)
        leases.acquire(stored)
        sweep_checkpoints(database, own_checkpoints(database, root))
        sweep_checkpoints(database, own_checkpoints(database, tmp_path / "not there"))
    kept = [path.parent for path in root.rglob("*.ckpt")]
    assert sorted(kept) == sorted(
        [ours / stored.uid / "1", another / stored.uid / "0", before / "0"]
    )


def test_workers_may_sweep_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    stored = create_or_join(url, Request({"data": {"dataset": "synthetic"}}, {}, "test")).stored
    database, _ = open_for_work(url)
    ours = own_checkpoints(database, tmp_path / "checkpoints")
    for uid in (stored.uid, "unknown"):
        (ours / uid / "0").mkdir(parents=True)
    is_dir = Path.is_dir

    def gone_after_a_look(path: Path) -> bool:
        found = is_dir(path)
        if path.parent == ours:
            # Another worker removes it.
            shutil.rmtree(path)
        return found

    monkeypatch.setattr(Path, "is_dir", gone_after_a_look)
    with database:
        sweep_checkpoints(database, ours)
    assert list((tmp_path / "checkpoints").iterdir()) == []
