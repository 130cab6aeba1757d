"""Many workers as a user runs them: real processes on every kind of database."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import optuna
import pytest

from search.analysis.status import study_status
from search.report.documents import status_document
from storage.engine import open_database
from storage.errors import NotThereYet, StudyNotFound
from tests.forked import Started, hypersearch

SLOW = {"HYPERSEARCH_SYNTHETIC_SECONDS": "0.15"}


def spec(folder: Path, name: str, trials: int, extra: str = "") -> str:
    text = (
        f'[study]\nname = "{name}"\ntrials = {trials}\npruner = "none"\n{extra}[data]\ndataset ='
        ' "synthetic"\n'
    )
    (folder / f"{name}.toml").write_text(text)
    return f"{name}.toml"


class Shell:
    """A user in a folder, with a storage."""

    def __init__(self, folder: Path, url: str, **environment: str) -> None:
        self.folder = folder
        self._started: list[Started] = []
        self._environment = {"HYPERSEARCH_STORAGE": url} | environment

    def start(self, *arguments: str, **environment: str) -> Started:
        process = Started(self.folder, *arguments, **self._environment | environment)
        self._started.append(process)
        return process

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def run(self, *arguments: str, code: int = 0) -> str:
        ended = hypersearch(self.folder, *arguments, **self._environment)
        assert ended.returncode == code, ended.stderr
        return ended.stdout if code == 0 else ended.stderr

    def status(self, name: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.run("status", name, "--json"))
        return found

    def wait_for(self, name: str, is_so: Callable[[dict[str, object]], bool]) -> dict[str, object]:
        """What `status --json` says once it is so; looked for in this process, which is cheap."""
        deadline = time.monotonic() + 60
        found: object = None
        while time.monotonic() < deadline:
            with (
                suppress(StudyNotFound, NotThereYet),
                open_database(self._environment["HYPERSEARCH_STORAGE"]) as database,
            ):
                found = status_document(study_status(database, name))
                assert isinstance(found, dict)
                if is_so(found):
                    return found
            time.sleep(0.2)
        raise AssertionError(f"never so: {found}")


@pytest.fixture(params=["postgresql", "mariadb"])
def remote(
    tmp_path: Path, request: pytest.FixtureRequest, new_database: Callable[[str], str]
) -> Iterator[Shell]:
    """A user with a database on a server."""
    with closing(Shell(tmp_path, new_database(request.param))) as shell:
        yield shell


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Shell]:
    """A user with a SQLite file."""
    with closing(Shell(tmp_path, f"sqlite:///{tmp_path}/a.db")) as shell:
        yield shell


def ended(status: dict[str, object]) -> tuple[object, ...]:
    return status["state"], status["end_reason"], status["finished"], status["running"]


def test_workers_share_a_study_and_end_with_exactly_its_budget(remote: Shell) -> None:
    remote.run("create", spec(remote.folder, "shared", 12))
    workers = [remote.start("worker", **SLOW) for _ in range(3)]
    status = remote.wait_for("shared", lambda status: len(status["running"]) == 3)  # type: ignore[arg-type]
    assert len(status["workers"]) == 3  # type: ignore[arg-type]
    texts = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert sum(text.count(" complete ") for text in texts) == 12
    assert ended(remote.status("shared")) == ("ended", "trials", 12, [])


def test_pause_resume_stop_extend_and_delete_are_obeyed_from_anywhere(local: Shell) -> None:
    # No trial ends by itself meanwhile.
    name = spec(local.folder, "steered", 40, "[training]\nepochs = 400\n")
    process = local.start("run", name, "--workers", "2", **SLOW)
    local.wait_for("steered", lambda status: len(status["running"]) == 2)  # type: ignore[arg-type]
    local.run("pause", "steered")
    status = local.wait_for(
        "steered",
        lambda status: all(trial["worker"] is None for trial in status["running"]),  # type: ignore[attr-defined]
    )
    assert (status["state"], len(status["running"]), status["finished"]) == ("paused", 2, 0)  # type: ignore[arg-type]
    local.run("resume", "steered")
    local.wait_for("steered", lambda status: any(trial["worker"] for trial in status["running"]))  # type: ignore[attr-defined]
    local.run("stop", "steered")
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "ended (it was stopped)" in stdout
    status = local.status("steered")
    assert ended(status) == ("ended", "stopped", status["finished"], [])
    assert "has ended and cannot be paused" in local.run("pause", "steered", code=2)
    assert "a budget may only be raised" in local.run("extend", "steered", "--trials", "1", code=2)
    local.run("extend", "steered", "--trials", "41")
    assert local.status("steered")["state"] == "open"
    assert "say --yes to do it" in local.run("delete", "steered", code=2)
    process = local.start("worker", **SLOW)
    local.wait_for("steered", lambda status: bool(status["running"]))
    local.run("delete", "steered", "--yes")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    assert json.loads(local.run("list", "--json")) == []


def test_a_worker_serves_all_open_studies_the_most_urgent_first(local: Shell) -> None:
    for name, extra in (("low", ""), ("high", "priority = 5\n")):
        local.run("create", spec(local.folder, name, 3, extra))
    worker = local.start("worker")
    _, stderr = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert [line.split()[1] for line in stderr.splitlines()] == ["high"] * 3 + ["low"] * 3


def test_a_worker_that_waits_for_ever_takes_new_studies_and_leaves_with_0_when_told(
    local: Shell,
) -> None:
    local.run("create", spec(local.folder, "first", 1))
    worker = local.start("worker", "--forever", "--workers", "2")
    local.wait_for("first", lambda status: status["state"] == "ended")
    local.run("create", spec(local.folder, "second", 3))
    local.wait_for("second", lambda status: status["state"] == "ended")
    worker.send_signal(signal.SIGTERM)
    _, stderr = worker.communicate(timeout=60)
    assert worker.returncode == 0, stderr
    assert "Traceback" not in stderr


@pytest.mark.long
def test_a_worker_process_that_dies_is_started_again(local: Shell) -> None:
    process = local.start("run", spec(local.folder, "mortal", 24), "--workers", "2", **SLOW)
    for _ in range(2):
        status = local.wait_for("mortal", lambda status: len(status["workers"]) == 2)  # type: ignore[arg-type]
        os.kill(status["workers"][0]["pid"], signal.SIGKILL)  # type: ignore[arg-type,call-overload]
        time.sleep(1)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert ended(local.status("mortal")) == ("ended", "trials", 24, [])


def test_worker_processes_end_with_the_one_that_started_them(local: Shell) -> None:
    process = local.start("run", spec(local.folder, "orphans", 500), "--workers", "2", **SLOW)
    local.wait_for("orphans", lambda status: len(status["workers"]) == 2)  # type: ignore[arg-type]
    process.kill()
    process.communicate(timeout=60)
    status = local.wait_for("orphans", lambda status: not status["workers"])
    assert all(trial["worker"] is None for trial in status["running"])  # type: ignore[attr-defined]
    assert ended(status)[0] == "open"


def test_a_study_that_cannot_be_served_here_is_left_to_others(local: Shell) -> None:
    spec(local.folder, "far", 2)
    text = (local.folder / "far.toml").read_text().replace("synthetic", "images:nowhere")
    (local.folder / "far.toml").write_text(text)
    local.run("create", "far.toml")
    assert 'dataset "images:nowhere": found in none of ' in local.run("worker", code=3)
    local.run("create", spec(local.folder, "near", 2))
    local.run("worker")
    assert local.status("near")["state"] == "ended"
    assert ended(local.status("far")) == ("open", None, 0, [])


def has_recorded(pid: int, status: dict[str, object]) -> bool:
    """Whether that process has recorded an epoch of a trial, and has more than one to train."""
    its = {worker["worker"] for worker in status["workers"] if worker["pid"] == pid}  # type: ignore[attr-defined]
    return any(trial["worker"] in its and 1 <= trial["epoch"] < 13 for trial in status["running"])  # type: ignore[attr-defined]


@pytest.mark.long
def test_a_real_training_that_is_killed_in_turn_ends_with_the_values_of_an_undisturbed_one(
    tmp_path: Path, mnist_5k_cache: Path
) -> None:
    (tmp_path / "cache" / "hypersearch").mkdir(parents=True)
    (tmp_path / "cache" / "hypersearch" / "decoded").symlink_to(
        mnist_5k_cache, target_is_directory=True
    )
    trials = "".join(
        f'[[trial]]\noptimizer = "{name}"\nscheduler = "{scheduler}"\ndropout = {dropout}\n'
        for name, scheduler, dropout in (("sgd", "cosine", 0.25), ("adamw", "step", "false"))
    )
    text = (
        '[study]\nname = "real"\ntrials = 2\npruner = "none"\nsampler = "random"\n[data]\ndataset'
        ' = "digits"\n[training]\nepochs = 16\n[model]\nchannels = [8, 16]\nhidden_units ='
        f" 32\n{trials}"
    )
    found = []
    for disturbed in (True, False):
        folder = tmp_path / ("disturbed" if disturbed else "undisturbed")
        folder.mkdir()
        (folder / "real.toml").write_text(text)
        shell = Shell(folder, f"sqlite:///{folder}/a.db", XDG_CACHE_HOME=str(tmp_path / "cache"))
        shell.run("create", "real.toml")
        # Where each epoch has a checkpoint, where none has, and where that of the last epoch is
        # written on leaving.
        for seconds, number in (
            ("0", signal.SIGKILL),
            ("3600", signal.SIGKILL),
            ("3600", signal.SIGTERM),
        ) * disturbed:
            worker = shell.start("worker", "--threads", "1", HYPERSEARCH_CHECKPOINT_SECONDS=seconds)
            shell.wait_for("real", partial(has_recorded, worker.pid))
            worker.send_signal(number)
            worker.communicate()
        shell.run("worker", "--threads", "1")
        compared = json.loads(shell.run("compare", "real", "--json"))
        found.append(compared)
        storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/a.db")
        study = optuna.load_study(study_name="real", storage=storage)
        artifacts = [
            optuna.artifacts.get_all_artifact_meta(trial, storage=storage) for trial in study.trials
        ]
        assert {meta.filename for meta in artifacts[study.best_trial.number]} >= {
            "model.safetensors",
            "learning-curve.png",
        }
        assert list(folder.rglob("*.ckpt")) == []
    assert found[0] == found[1]
