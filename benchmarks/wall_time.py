"""The wall time of a study as a user runs it, and where it goes: start, training, all between, and
the tail.
"""

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import psutil

from benchmarks.figures import machine, spread
from lab.checkout import ROOT, environment


@dataclass(frozen=True)
class Spent:
    """Seconds of one run; those of a worker are means over the workers, shares are of all workers
    together.
    """

    wall: float
    # The start lasts until the worker holds its first trial: imports, data, the sampler's first
    # look.
    start: float
    # Training is the time in epochs, evaluation included.
    training: float
    # A trial was held but not in an epoch for so long: sampler, storage, pruner, checkpoints and
    # artifacts.
    inside_trials: float
    # This is the time from one trial's end to the next one's start.
    between_trials: float
    # The tail follows the worker's last trial: waiting for the others, the summary.
    tail: float
    # The share is (inside + between) of (training + inside + between).
    overhead_percent: float
    # All processes together take so much; shared pages are counted in each.
    peak_memory_megabytes: float


def run_once(spec: Path, workers: int, threads: str, device: str, folder: Path) -> Spent:
    """Runs the study on a fresh database, `a.db` in `folder`."""
    database = folder / "a.db"
    command = [
        sys.executable,
        "-P",
        "-m",
        "hypersearch",
        "run",
        str(spec),
        "-q",
        "--workers",
        str(workers),
    ]
    command += ["--threads", threads, "--device", device, "--storage", f"sqlite:///{database}"]
    started, peak_bytes = time.time(), 0
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            peak_bytes = max(peak_bytes, memory_bytes(process.pid))
            time.sleep(0.2)
    if process.returncode != 0:
        raise RuntimeError(f"exit code {process.returncode}")
    ended = time.time()
    with closing(sqlite3.connect(database)) as connection:
        attempts = connection.execute(
            "SELECT owner, min(started_ms) / 1000.0, max(ended_ms) / 1000.0, sum(ended_ms -"
            " started_ms) / 1000.0 FROM hypersearch_attempt GROUP BY owner"
        ).fetchall()
        (training,) = connection.execute("SELECT sum(seconds) FROM hypersearch_epoch").fetchone()
    firsts, lasts, held = ([row[place] for row in attempts] for place in (1, 2, 3))
    working = sum(lasts) - sum(firsts)
    count = len(attempts)
    return Spent(
        wall=ended - started,
        start=sum(firsts) / count - started,
        training=training / count,
        inside_trials=(sum(held) - training) / count,
        between_trials=(working - sum(held)) / count,
        tail=ended - sum(lasts) / count,
        overhead_percent=100 * (working - training) / working,
        peak_memory_megabytes=peak_bytes / 1e6,
    )


def memory_bytes(process_id: int) -> int:
    """What a process and those that it started hold in memory."""
    total = 0
    try:
        process = psutil.Process(process_id)
        for each in (process, *process.children(recursive=True)):
            total += each.memory_info().rss
    # One of the processes has just ended.
    except psutil.NoSuchProcess:
        pass
    return total


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints median and range of each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=Path, default=ROOT / "examples" / "demo.toml")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", default="auto")
    parser.add_argument(
        "--device", default="auto", help="as the command line of hypersearch takes it"
    )
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args(arguments)
    print(machine("hypersearch", "torch", "optuna"))
    print(
        f"{given.spec.name}, {given.workers} workers, threads {given.threads}, device"
        f" {given.device}",
        end=", ",
    )
    print(f"n = {given.repeats}", flush=True)
    runs = []
    for _ in range(given.repeats):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(
                run_once(
                    given.spec.resolve(), given.workers, given.threads, given.device, Path(folder)
                )
            )
    for field, values in zip(fields(Spent), zip(*map(astuple, runs), strict=True), strict=True):
        print(f"{field.name.replace('_', ' '):24} {spread(values, 1)}")


if __name__ == "__main__":
    main()
