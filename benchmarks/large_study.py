"""A study with many finished trials on PostgreSQL: how long a worker waits for what it does beside
training.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning
from sqlalchemy import Engine, create_engine, inspect

from benchmarks.figures import machine, percentile, spread
from benchmarks.storage import EPOCHS, finish_one, our_trials
from lab.checkout import ROOT, environment
from lab.servers import PostgreSQLServer
from storage.engine import open_database
from storage.studies import Budget, find_study
from storage.study_control import raise_budget

# A worker makes so many trials; the others are copies of their rows.
REAL = 100
TABLES = (
    "trials",
    "trial_params",
    "trial_values",
    "trial_intermediate_values",
    "hypersearch_attempt",
    "hypersearch_epoch",
)
START_SECONDS = 60.0


def multiply(engine: Engine, times: int) -> None:
    """Copies the rows of all trials until there are so many times as many."""
    is_postgresql = engine.dialect.name == "postgresql"
    copies = (
        f"generate_series(1, {times - 1}) AS copy"
        if is_postgresql
        else "(WITH RECURSIVE each(copy) AS (SELECT 1 UNION ALL SELECT copy + 1 FROM each WHERE"
        f" copy < {times - 1}) SELECT copy FROM each)"
    )
    with engine.begin() as connection:
        trials = connection.exec_driver_sql("SELECT count(*) FROM trials").scalar_one()
        for table in TABLES:
            own_key = {"param_id", "trial_value_id", "trial_intermediate_value_id"}
            columns = [
                each["name"]
                for each in inspect(connection).get_columns(table)
                if each["name"] not in own_key
            ]
            moved = [
                f"{name} + {trials} * copy" if name in ("trial_id", "number") else name
                for name in columns
            ]
            connection.exec_driver_sql(
                f"INSERT INTO {table} ({', '.join(columns)}) "
                f"SELECT {', '.join(moved)} FROM {table}, {copies}"
            )
        if is_postgresql:
            connection.exec_driver_sql(
                "SELECT setval('trials_trial_id_seq', (SELECT max(trial_id) FROM trials))"
            )
    if not is_postgresql:
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # The server does so by itself a while later.
        connection.exec_driver_sql("VACUUM ANALYZE")


def start_worker(url: str, finished: int, engine: Engine) -> float:
    """Seconds from the start of a worker process to the parameters of its first trial, the only one
    that is left.
    """
    with open_database(url) as database:
        raise_budget(database, find_study(database, "s"), Budget(finished + 1))
    suggested = (
        "SELECT count(*) FROM trial_params JOIN trials USING (trial_id) WHERE number >="
        " %(finished)s"
    )
    command = [
        sys.executable,
        "-P",
        "-m",
        "hypersearch",
        "worker",
        "--study",
        "s",
        "--quiet",
        "--storage",
        url,
    ]
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL
    ) as process:
        seconds = None
        while seconds is None and time.perf_counter() - started < START_SECONDS:
            with engine.connect() as connection:
                found = connection.exec_driver_sql(suggested, {"finished": finished}).scalar_one()
            if found:
                seconds = time.perf_counter() - started
                loaded = Path(f"/proc/{process.pid}/maps").read_text()
                assert "libtorch" not in loaded
            time.sleep(0.02)
    assert seconds is not None
    assert process.returncode == 0
    return seconds


def main() -> None:
    """Prints the machine and a row for each operation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--finished", type=int, default=10_000, help="trials of the study before")
    parser.add_argument("--trials", type=int, default=100, help="measured trials")
    parser.add_argument("--starts", type=int, default=5, help="measured worker processes")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", ExperimentalWarning)  # group=True
    print(machine("optuna", "sqlalchemy", "psycopg"))
    with (
        tempfile.TemporaryDirectory() as folder,
        PostgreSQLServer(Path(folder) / "postgresql") as server,
    ):
        url = server.database("large")
        engine = create_engine(url)
        with our_trials(url, "tpe", Path(folder)) as (events, *_):
            for _ in range(REAL):
                finish_one(events)
        multiply(engine, arguments.finished // REAL)
        with our_trials(url, "tpe", Path(folder), first=arguments.finished) as (events, _, taken):
            for _ in range(arguments.trials):
                finish_one(events)
        print(
            f"PostgreSQL, {arguments.finished} finished trials of 8 parameters and {EPOCHS} epochs,"
            f" tpe, asha, one worker, n = {arguments.trials}"
        )
        pairs = zip(taken.acquire, taken.finish, strict=True)
        operations = {
            "acquire": taken.acquire,
            "finish": taken.finish,
            "acquire and finish": [sum(pair) for pair in pairs],
            "suggest, the first": taken.suggest[:1],
            "suggest, the others": taken.suggest[1:],
        }
        for name, seconds in operations.items():
            milliseconds = [1000 * each for each in seconds]
            tail = f", p95 {percentile(milliseconds, 95):.0f}" if len(milliseconds) > 1 else ""
            print(f"{name:20} {spread(milliseconds, 0)} ms{tail}", flush=True)
        finished = arguments.finished + arguments.trials
        starts = [
            start_worker(url, finished + already, engine) for already in range(arguments.starts)
        ]
        print(
            f"start of a process to its first parameters {spread(starts, 1)} s, n ="
            f" {arguments.starts}, no torch"
        )
        engine.dispose()


if __name__ == "__main__":
    main()
