"""Which checkpoints are removed when a worker starts."""

import os
import shutil
import time
from pathlib import Path

import pytest

from search.study import Request, create_or_join
from search.sweep import FORGOTTEN_SECONDS, sweep_checkpoints
from search.worker import this_worker
from storage.engine import open_for_work
from storage.hosts import this_host
from storage.leases import TrialLeases


def test_checkpoints_of_ended_trials_and_of_forgotten_studies_are_removed_and_no_others(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    stored = create_or_join(url, Request({"data": {"dataset": "synthetic"}}, {}, "test")).stored
    root = tmp_path / "checkpoints"
    for folder in (f"{stored.uid}/0", f"{stored.uid}/1", "unknown/0", "forgotten/0"):
        (root / folder).mkdir(parents=True)
        (root / folder / "1-1.ckpt").write_bytes(b"x")
    now = time.time()
    os.utime(root / "forgotten", (now, now - FORGOTTEN_SECONDS - 1))
    database, rdb = open_for_work(url)
    with database:
        leases = TrialLeases(database, rdb, this_worker(this_host(), "-", 0))
        leases.finish(leases.acquire(stored), "complete", value=0.5)
        leases.acquire(stored)
        sweep_checkpoints(database, root, now)
        sweep_checkpoints(database, tmp_path / "not there", now)
    kept = sorted(str(path.parent.relative_to(root)) for path in root.rglob("*.ckpt"))
    assert kept == sorted([f"{stored.uid}/1", "unknown/0"])


def test_workers_may_sweep_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    stored = create_or_join(url, Request({"data": {"dataset": "synthetic"}}, {}, "test")).stored
    for uid in (stored.uid, "unknown"):
        (tmp_path / "checkpoints" / uid / "0").mkdir(parents=True)
    is_dir = Path.is_dir

    def gone_after_a_look(path: Path) -> bool:
        found = is_dir(path)
        if path.parent.name == "checkpoints":
            shutil.rmtree(path)  # by another worker
        return found

    monkeypatch.setattr(Path, "is_dir", gone_after_a_look)
    database, _ = open_for_work(url)
    with database:
        sweep_checkpoints(database, tmp_path / "checkpoints", time.time())
    assert list((tmp_path / "checkpoints").iterdir()) == []
