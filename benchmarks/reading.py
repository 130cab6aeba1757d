"""How long the commands that look take on a large study, as processes, on SQLite and PostgreSQL."""

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning
from sqlalchemy import create_engine

from benchmarks.figures import machine, spread
from benchmarks.large_study import REAL, multiply
from benchmarks.storage import EPOCHS, finish_one, our_trials
from lab.checkout import ROOT, environment
from lab.servers import PostgreSQLServer

COMMANDS = (["--help"], ["list"], ["status", "s"], ["compare", "s", "--json"])


@contextmanager
def database(backend: str, folder: Path) -> Iterator[str]:
    """The URL of an empty one."""
    if backend == "sqlite":
        yield f"sqlite:///{folder}/large.db"
        return
    with PostgreSQLServer(folder / "postgresql") as server:
        yield server.database("large")


def command_seconds(url: str, arguments: list[str]) -> float:
    """Of a process that runs the command."""
    command = [sys.executable, "-P", "-m", "hypersearch", *arguments]
    started = time.perf_counter()
    subprocess.run(
        command,
        cwd=ROOT,
        env=environment(HYPERSEARCH_STORAGE=url),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - started


def main() -> None:
    """Prints the machine and a row for each command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--finished", type=int, default=10_000, help="trials of the study")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Optuna warns that the option group=True is experimental.
    warnings.simplefilter("ignore", ExperimentalWarning)
    print(machine("optuna", "sqlalchemy", "psycopg"))
    for backend in ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory() as folder, database(backend, Path(folder)) as url:
            with our_trials(url, "random", Path(folder)) as (events, *_):
                for _ in range(REAL):
                    finish_one(events)
            engine = create_engine(url)
            multiply(engine, arguments.finished // REAL)
            engine.dispose()
            print(f"{backend}, {arguments.finished} trials of 8 parameters and {EPOCHS} epochs")
            for command in COMMANDS:
                seconds = [command_seconds(url, command) for _ in range(arguments.repeats)]
                print(f"  {' '.join(command):20} {spread(seconds, 2)} s", flush=True)


if __name__ == "__main__":
    main()
