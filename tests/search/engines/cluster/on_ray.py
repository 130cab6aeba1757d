"""A user on a Ray cluster of this machine."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy

from lab.ray_nodes import Nodes, NotStarted
from storage.hosts import this_host
from storage.urls import parse_url
from tests.conftest import lacks
from tests.forked import hypersearch

# Anything may take so long on a busy machine.
SECONDS = 240.0
SLOW = """
[study]
name = "{name}"
trials = 500
pruner = "none"
[data]
dataset = "synthetic"
"""


class Lab:
    """A user on a machine of the cluster."""

    def __init__(self, nodes: Nodes, url: str, folder: Path) -> None:
        self.nodes = nodes
        self.folder = folder
        self.url = url
        self._engine = sqlalchemy.create_engine(parse_url(self.url))

    def close(self) -> None:
        self._engine.dispose()

    def environment(self, url: str | None = None) -> dict[str, str]:
        """The variables of the user's commands."""
        return {
            **self.nodes.environment,
            "HYPERSEARCH_STORAGE": url or self.url,
            "HYPERSEARCH_SYNTHETIC_SECONDS": "0.3",
            "HYPERSEARCH_ARTIFACTS": str(self.folder / "artifacts"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }

    def here(self, *arguments: str, url: str | None = None) -> str:
        """What a command on this machine prints."""
        ended = hypersearch(self.folder, *arguments, "-q", **self.environment(url))
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def start(self, *arguments: str, url: str | None = None) -> subprocess.Popen[str]:
        command = [*self.nodes.prefix, sys.executable, "-P", "-m", "hypersearch", *arguments]
        return subprocess.Popen(
            [*command, "--engine", "ray", "--ray-address", self.nodes.address],
            cwd=self.folder,
            env=os.environ | self.environment(url),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def on_ray(self, *arguments: str, url: str | None = None) -> tuple[int, str, str]:
        process = self.start(*arguments, url=url)
        stdout, stderr = process.communicate(timeout=SECONDS)
        return process.returncode, stdout, stderr

    def ask(self, query: str) -> list[Sequence[object]]:
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sqlalchemy.text(query))]

    def machines(self) -> list[str]:
        """Where trials are trained now."""
        found = self.ask("SELECT machine FROM hypersearch_lease WHERE owner IS NOT NULL")
        return sorted(str(row[0]) for row in found)

    def machine(self, node: str) -> str:
        return this_host(self.nodes.identity(node)).machine


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@contextmanager
def started_by_ray() -> Iterator[None]:
    """Inside, Ray starts nodes, for which it takes no more than half a minute, five times."""
    try:
        yield
    except NotStarted as error:
        lacks(str(error))
