"""Workers that Ray places beside those of `--engine local`, on one machine and one PostgreSQL: how
long until the first trial begins, and how long trials take then.

The epochs are made up and sleep, so that the engines differ, and not what trains.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from sqlalchemy import create_engine, text

from benchmarks.figures import machine, spread
from lab.ray_nodes import Nodes
from lab.servers import FilePostgreSQLServer
from lab.soak_study import create
from search.machine.settings import SYNTHETIC_SECONDS
from search.spec.document import Document
from storage.urls import parse_url

EPOCHS, EPOCH_SECONDS = 10, 0.2


def measure(
    engine: str, number: int, nodes: Nodes, server: FilePostgreSQLServer, workers: int, trials: int
) -> tuple[float, float]:
    """Seconds from the start of the command to its first trial, and from one trial of a worker to
    its next.
    """
    url = server.database(f"engine_{number}")
    document: Document = {
        "study": {"name": "s", "trials": trials, "sampler": "random", "pruner": "none"},
        "data": {"dataset": "synthetic"},
        "training": {"epochs": EPOCHS},
    }
    create(url, document)
    placed = ["--engine", "ray", "--ray-address", nodes.address] if engine == "ray" else []
    started = time.time()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                *(*nodes.prefix, sys.executable, "-P", "-m", "hypersearch", "run", "-q"),
                *("--study", "s", "--workers", str(workers), "--threads", "1", *placed),
                *("--artifact-root", folder),
            ],
            env=os.environ | {"HYPERSEARCH_STORAGE": url, SYNTHETIC_SECONDS: str(EPOCH_SECONDS)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
    database = create_engine(parse_url(url))
    with database.connect() as connection:
        rows = connection.execute(
            text("SELECT owner, started_ms FROM hypersearch_attempt ORDER BY started_ms")
        ).all()
    database.dispose()
    begun: dict[str, list[int]] = {}
    for row in rows:
        begun.setdefault(row.owner, []).append(row.started_ms)
    between = [
        (later - earlier) / 1000 for each in begun.values() for earlier, later in pairwise(each)
    ]
    return rows[0].started_ms / 1000 - started, sorted(between)[len(between) // 2]


def main() -> None:
    """Prints a row for each engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trials", type=int, default=80)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    print(machine("ray", "optuna", "sqlalchemy"))
    with (
        tempfile.TemporaryDirectory() as folder,
        Nodes(Path(folder) / "nodes") as nodes,
        FilePostgreSQLServer(Path(folder) / "pg", 200) as server,
    ):
        nodes.add("one", cpus=given.workers)
        found: dict[str, list[tuple[float, float]]] = {"local": [], "ray": []}
        # The engines take turns, as what else runs here changes.
        for number in range(2 * given.repeats):
            engine = ("local", "ray")[number % 2]
            args = (engine, number, nodes, server, given.workers, given.trials)
            found[engine].append(measure(*args))
            print(".", end="", file=sys.stderr, flush=True)
    print(f"{given.workers} workers, {given.trials} trials of {EPOCHS * EPOCH_SECONDS:g} s")
    for engine, rows in found.items():
        starts, between = ([row[at] for row in rows] for at in (0, 1))
        print(
            f"{engine:6} start to the first trial {spread(starts, 1)} s, from one trial of a worker"
            f" to its next {spread(between, 2)} s, n = {len(rows)}"
        )


if __name__ == "__main__":
    main()
