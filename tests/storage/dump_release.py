"""Keeps a small study as a release records it, for the tests of the next one's migration:
data/schema-REVISION-*.sql.

It runs with the code of that release, which it finds in the current folder:

    git archive RELEASE | tar -x -C FOLDER && cd FOLDER && python
        REPOSITORY/tests/storage/dump_release.py
"""

import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from sqlalchemy import text

from lab.servers import MariaDBServer, PostgreSQLServer
from objectives.hyperparameters import Hyperparameters
from objectives.protocol import Pulse, ResumableTraining
from objectives.synthetic import synthetic_curve
from search.machine.this_machine import Files
from search.spec.definition import stored_spec
from search.spec.document import Document
from search.spec.request import Request
from search.studies.joining import JoinedStudy, join
from search.studies.this_worker import this_worker
from search.worker.events import EpochFinished
from search.worker.loop import work, workplace
from search.worker.objective import Objective
from storage.computing import Computing
from storage.engine import open_for_work
from storage.hosts import Host
from storage.schema import HEAD
from storage.studies import find_study

DATA = Path(__file__).parent / "data"
SPEC: Document = {
    "study": {
        "name": "kept",
        "trials": 4,
        "sampler": "random",
        "pruner": {"name": "threshold", "lower": 0.4, "min_epochs": 2, "audit": 0},
    },
    "data": {"dataset": "synthetic"},
    "training": {"epochs": 4},
    "space": {"adagrad.learning_rate": {"low": 1e-5, "high": 0.1, "log": True}},
    "trial": [
        {"optimizer": "adamw", "adamw.learning_rate": 2e-3},
        {"optimizer": "adagrad", "adagrad.learning_rate": 1e-5},
        {"optimizer": "sgd", "sgd.learning_rate": 0.1},
    ],
}


def record(url: str, folder: Path) -> None:
    """A study of four trials: the first is complete and has artifacts, the second pruned, the third
    handed back.
    """

    def train(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        return synthetic_curve(hyperparameters, 4, seed, resume=resume, pulse=pulse)

    objective = Objective(
        train, "none", Computing(1), lambda training, epochs: {"model.safetensors": b"weights"}
    )
    database, rdb = open_for_work(url)
    with database:
        joined = join(database, rdb, Request(SPEC, {}, "dump_release"))

        def choose() -> list[JoinedStudy]:
            stored = find_study(database, joined.stored.name)
            return [JoinedStudy(stored, stored_spec(stored))]

        files = Files(str(folder / "artifacts"), folder / "checkpoints")
        worker = this_worker(Host("laptop", "m" * 32), "-", 0)
        with (
            workplace(database, rdb, worker, files) as place,
            closing(work(place, rdb, choose, lambda spec: objective)) as events,
        ):
            next(
                event for event in events if isinstance(event, EpochFinished) and event.number == 2
            )
        # Where the database was made is nobody's business.
        with database.transactions.write() as connection:
            connection.execute(text("UPDATE hypersearch_database SET place = 'laptop'"))


def write(backend: str, dump: str) -> None:
    """Without comments, settings of the session, and what the dump's own client alone
    understands.
    """
    passed_over = re.compile(r"--|\\|/\*|SET |SELECT pg_catalog.set_config")
    lines = [line for line in dump.splitlines() if line and not passed_over.match(line)]
    (DATA / f"schema-{HEAD}-{backend}.sql").write_text("\n".join(lines) + "\n")


def said(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        # PostgreSQL's own user passes through the folder.
        folder.chmod(0o755)
        record(f"sqlite:///{folder}/a.db", folder)
        with closing(sqlite3.connect(folder / "a.db")) as connection:
            write("sqlite", "\n".join(connection.iterdump()))
        with PostgreSQLServer(folder / "postgresql") as server:
            record(url := server.database("kept"), folder)
            program = server.binary.with_name("pg_dump")
            write(
                "postgresql",
                said(program, "--inserts", "--no-owner", "--no-privileges", "--dbname", url),
            )
        with MariaDBServer(folder / "mariadb") as server:
            record(server.database("kept"), folder)
            program = Path(shutil.which("mariadb-dump") or "mariadb-dump")
            options = (
                "--no-defaults",
                "--compact",
                "--skip-extended-insert",
                "--user=root",
                "--host=127.0.0.1",
            )
            write("mariadb", said(program, *options, f"--port={server.port}", "kept"))


if __name__ == "__main__":
    main()
