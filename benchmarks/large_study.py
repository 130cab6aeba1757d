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
from search.analysis.comparison import compare_study
from search.analysis.status import study_status
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


def start_worker(url: str, finished: int, engine: Engine) -> tuple[float, float]:
    """Seconds from the start of a worker process to the parameters of its first trial, the only one
    that is left; and the most memory that the process has had, in MB.
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
        seconds, megabytes = None, 0.0
        while seconds is None and time.perf_counter() - started < START_SECONDS:
            with engine.connect() as connection:
                found = connection.exec_driver_sql(suggested, {"finished": finished}).scalar_one()
            if found:
                seconds = time.perf_counter() - started
                loaded = Path(f"/proc/{process.pid}/maps").read_text()
                assert "libtorch" not in loaded
            time.sleep(0.02)
        # The pruner reads others' curves later than the sampler.
        while process.poll() is None:
            megabytes = max(megabytes, peak_megabytes(process.pid))
            time.sleep(0.02)
    assert seconds is not None
    assert process.returncode == 0
    return seconds, megabytes


def peak_megabytes(pid: int) -> float:
    """The most memory that a process has had so far; 0 where it has just ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(found[0]) / 1024 if found else 0.0


def looks(url: str, repeats: int = 3) -> dict[str, list[float]]:
    """Seconds that those take who look on, in this process."""
    found: dict[str, list[float]] = {"status": [], "compare": []}
    for _ in range(repeats):
        for name, look in (("status", study_status), ("compare", compare_study)):
            with open_database(url) as database:
                started = time.perf_counter()
                look(database, "s")
                found[name].append(time.perf_counter() - started)
    return found


def measure(
    server: PostgreSQLServer, folder: Path, finished: int, trials: int, starts: int
) -> None:
    """Prints a row for each operation beside so many finished trials."""
    url = server.database(f"large_{finished}")
    engine = create_engine(url)
    with our_trials(url, "tpe", folder) as (events, *_):
        for _ in range(REAL):
            finish_one(events)
    multiply(engine, finished // REAL)
    with our_trials(url, "tpe", folder, first=finished) as (events, _, taken):
        for _ in range(trials):
            finish_one(events)
    print(
        f"PostgreSQL, {finished} finished trials of 8 parameters and {EPOCHS} epochs, tpe, asha,"
        f" one worker, n = {trials}"
    )
    pairs = zip(taken.acquire, taken.finish, strict=True)
    operations = {
        "acquire": taken.acquire,
        "finish": taken.finish,
        "acquire and finish": [sum(pair) for pair in pairs],
        "suggest, the first": taken.suggest[:1],
        "suggest, the others": taken.suggest[1:],
        **looks(url),
    }
    for name, seconds in operations.items():
        milliseconds = [1000 * each for each in seconds]
        tail = f", p95 {percentile(milliseconds, 95):.0f}" if len(milliseconds) > 3 else ""
        print(f"{name:20} {spread(milliseconds, 0)} ms{tail}", flush=True)
    found = [start_worker(url, finished + trials + already, engine) for already in range(starts)]
    print(
        f"start of a process to its first parameters {spread([each for each, _ in found], 1)} s,"
        f" the most memory of one with one trial {spread([each for _, each in found], 0)} MB, n ="
        f" {starts}, no torch"
    )
    engine.dispose()


def main() -> None:
    """Prints the machine, and what each size of study costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--finished",
        type=int,
        nargs="+",
        default=[1_000, 10_000],
        help="trials of the study before; 30000 and 100000 take long",
    )
    parser.add_argument("--trials", type=int, default=100, help="measured trials")
    parser.add_argument("--starts", type=int, default=5, help="measured worker processes")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Optuna warns that the option group=True is experimental.
    warnings.simplefilter("ignore", ExperimentalWarning)
    print(machine("optuna", "sqlalchemy", "psycopg"))
    for finished in arguments.finished:
        with (
            tempfile.TemporaryDirectory() as folder,
            PostgreSQLServer(Path(folder) / "postgresql") as server,
        ):
            measure(server, Path(folder), finished, arguments.trials, arguments.starts)


if __name__ == "__main__":
    main()
