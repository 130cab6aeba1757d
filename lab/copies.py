"""Copies a study with artifacts from SQLite to PostgreSQL and back, and kills copies on their way.

    $ python -m lab.copies [--trials 1000] [--kills 10]

What `compare --json --timings` prints is compared byte for byte, and every artifact. Each killed
copy must be whole or not there, and the same command must then end it.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import select

from lab.checkout import environment
from lab.servers import PostgreSQLServer
from storage.artifact_store import ARTIFACT_ID
from storage.artifacts import open_artifact_store
from storage.engine import open_database
from storage.owners import Owner
from storage.records import read_study_names
from storage.schema import optuna_trials
from storage.studies import find_study
from storage.urls import parse_url

SPEC = """
[study]
name = "s"
trials = {trials}
sampler = "random"
[data]
dataset = "synthetic"
[training]
epochs = 5
"""
ARTIFACT_BYTES = 20_000
LIMIT_SECONDS = 1200.0
COMMAND = [sys.executable, "-P", "-m", "hypersearch"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what was done and found; 1 where a copy is another one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=10, help="of each kind of database")
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        (folder / "postgresql").mkdir()
        server = stack.enter_context(PostgreSQLServer(folder / "postgresql"))
        first, team, back = (
            f"sqlite:///{folder}/a.db",
            server.database("b"),
            f"sqlite:///{folder}/c.db",
        )
        _make(folder, first, given.trials)
        expected = _state(folder, first)
        print(f"{given.trials} trials, {len(expected[1])} artifacts of {ARTIFACT_BYTES} bytes")
        faults = 0
        seconds = []
        for one, other in ((first, team), (team, back)):
            started = time.perf_counter()
            _run(folder, *_copying(folder, one, other))
            seconds.append(time.perf_counter() - started)
            is_same = _state(folder, other) == expected
            faults += not is_same
            print(f"{_kind(one)} to {_kind(other)}: {seconds[-1]:.1f} s, the same: {is_same}")
        new: list[Callable[[str], str]] = [
            server.database,
            lambda name: f"sqlite:///{folder}/{name}.db",
        ]
        for make, took in zip(new, seconds, strict=True):
            whole = 0
            for number in range(given.kills):
                other = make(f"killed_{number}")
                copying = _copying(folder, first, other)
                whole += _killed_after(took * (number + 0.5) / given.kills, folder, other, copying)
                _run(folder, *copying)
                faults += _state(folder, other) != expected
            print(f"{given.kills} copies to {_kind(other)} killed, of which {whole} were whole")
    print(f"{faults} faults")
    return 1 if faults else 0


def _make(folder: Path, url: str, trials: int) -> None:
    """A study whose every trial has an artifact of its own and one that all have."""
    (folder / "s.toml").write_text(SPEC.format(trials=trials))
    _run(folder, "run", "s.toml", "-q", "--threads", "1", "--storage", url)
    with open_database(url) as database:
        owner = Owner(database, open_artifact_store(str(_root(folder, url))))
        stored = find_study(database, "s")
        with database.transactions.read() as connection:
            ids = list(connection.scalars(select(optuna_trials.c.trial_id)))
        common = os.urandom(ARTIFACT_BYTES)
        for trial_id in ids:
            owner.add(stored, trial_id, {"own.bin": os.urandom(ARTIFACT_BYTES), "all.bin": common})


def _state(folder: Path, url: str) -> tuple[str, dict[str, bytes]]:
    """What is said of the study, and its artifacts."""
    said = _run(folder, "compare", "s", "--json", "--timings", "--storage", url)
    found = {
        each.name: each.read_bytes()
        for each in _root(folder, url).iterdir()
        if ARTIFACT_ID.fullmatch(each.name)
    }
    return said, found


def _killed_after(seconds: float, folder: Path, url: str, arguments: Sequence[str]) -> bool:
    """Whether the study is there after a copy that was killed. Raises AssertionError where half of
    it is.
    """
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, env=environment(), stderr=subprocess.DEVNULL
    ) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
    listed = subprocess.run(
        [*COMMAND, "status", "s", "--storage", url],
        cwd=folder,
        env=environment(),
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        return False
    with open_database(url) as database:
        assert read_study_names(database) == ["s"]
    return True


def _copying(folder: Path, one: str, other: str) -> list[str]:
    roots = [str(_root(folder, url)) for url in (one, other)]
    places = ["--storage", one, "--to", other]
    return ["copy", "s", *places, "--artifact-root", roots[0], "--to-artifact-root", roots[1]]


def _root(folder: Path, url: str) -> Path:
    return folder / "artifacts" / _kind(url) / Path(parse_url(url).database or "").stem


def _kind(url: str) -> str:
    return parse_url(url).get_backend_name()


def _run(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=LIMIT_SECONDS,
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
