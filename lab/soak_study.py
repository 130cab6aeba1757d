"""The study that is soaked: its database, on a server of its own, and processes that work on it."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna

from lab.servers import MariaDBServer, PostgreSQLServer
from search.spec.document import Document
from search.spec.request import Request
from search.spec.study_spec import StudySpec
from search.studies.joining import join
from storage.engine import open_for_work

BACKENDS = ("postgresql", "sqlite", "mariadb")
# The first value has a checkpoint after each epoch; the second is longer than a trial: only trials
# that are handed back have one.
CHECKPOINT_SECONDS = (0.0, 3600.0)


@contextmanager
def database(backend: str, folder: Path, workers: int = 16) -> Iterator[str]:
    """The URL of a new database, on a server of its own."""
    if backend == "sqlite":
        yield f"sqlite:///{folder}/soak.db"
        return
    servers = folder / backend
    server = (
        PostgreSQLServer(servers, 20 + 3 * workers)
        if backend == "postgresql"
        else MariaDBServer(servers)
    )
    with server:
        yield server.database("soak")


def forkserver() -> multiprocessing.context.ForkServerContext:
    """Starts processes that have all modules loaded already, and nothing else: forks of a server
    that does no work.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lab.soak_worker"])
    return context


def create(url: str, document: Document) -> StudySpec:
    """Makes the study that the document describes."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    opened, rdb = open_for_work(url)
    with opened:
        return join(opened, rdb, Request(document, {}, "soak")).spec
