"""A Ray cluster of two nodes on this machine, each a machine of its own to the product."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy
from PIL import Image

from lab.ray_nodes import Nodes, NotStarted
from lab.servers import FilePostgreSQLServer
from search.engines.cluster.messages import Hello, read_answer, written
from storage.hosts import this_host
from storage.urls import parse_url
from tests.conftest import missing
from tests.forked import hypersearch

# Nodes of a cluster start for half a minute each, and leases of dead ones expire for longer.
pytestmark = pytest.mark.cluster
# Anything may take so long on a busy machine.
SECONDS = 240.0
PHOTOS = """
[study]
name = "photos"
trials = 3
pruner = "none"
[data]
dataset = "images:{folder}"
[training]
epochs = 2
[model]
channels = [4]
hidden_units = 8
[space]
optimizer = "sgd"
batch_size = 16
augmentation = "none"
[[trial]]
"sgd.learning_rate" = 0.1
[[trial]]
"sgd.learning_rate" = 0.03
[[trial]]
"sgd.learning_rate" = 0.01
"""
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

    def __init__(self, nodes: Nodes, server: FilePostgreSQLServer, folder: Path) -> None:
        self.nodes = nodes
        self.folder = folder
        self.url = server.database("ray")
        self._engine = sqlalchemy.create_engine(parse_url(self.url))

    def close(self) -> None:
        self._engine.dispose()

    def _environment(self, url: str | None) -> dict[str, str]:
        return {
            "HYPERSEARCH_STORAGE": url or self.url,
            "HYPERSEARCH_SYNTHETIC_SECONDS": "0.3",
            "HYPERSEARCH_ARTIFACTS": str(self.folder / "artifacts"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }

    def here(self, *arguments: str, url: str | None = None) -> str:
        """What a command on this machine prints."""
        ended = hypersearch(self.folder, *arguments, "-q", **self._environment(url))
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def start(self, *arguments: str, url: str | None = None) -> subprocess.Popen[str]:
        command = [*self.nodes.prefix, sys.executable, "-P", "-m", "hypersearch", *arguments]
        return subprocess.Popen(
            [*command, "--engine", "ray", "--ray-address", self.nodes.address],
            cwd=self.folder,
            env=os.environ | self._environment(url),
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
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two nodes of two CPUs, without the folder of images that the user has, and a PostgreSQL."""
    missing("Ray (pip install 'hypersearch[ray]')", find_spec("ray") is not None)
    folder = tmp_path_factory.mktemp("ray")
    (folder / "private").mkdir()
    with ExitStack() as stack:
        with started_by_ray():
            nodes = stack.enter_context(Nodes(folder / "nodes", hidden=folder / "private"))
            nodes.add("a")
            nodes.add("b")
        server = FilePostgreSQLServer(tmp_path_factory.mktemp("pg") / "data")
        found = Lab(nodes, stack.enter_context(server), folder)
        stack.callback(found.close)
        yield found


def photos(folder: Path) -> None:
    """Two classes that differ, 30 images of 8 x 8 pixels each."""
    for label, shade in (("dark", 40), ("light", 160)):
        place = folder / "train" / label
        place.mkdir(parents=True)
        test = folder / "test" / label
        test.mkdir(parents=True)
        for number in range(40):
            pixels = bytes((shade + 7 * number * (at + 1)) % 90 + shade // 2 for at in range(64))
            image = Image.frombytes("L", (8, 8), pixels)
            image.save((place if number < 30 else test) / f"{number}.png")


def values(listing: str) -> list[object]:
    return sorted(
        (trial["number"], trial["state"], trial["value"], json.dumps(trial["params"]))
        for trial in json.loads(listing)["trials"]
    )


def test_nodes_without_the_images_train_and_confirm_what_one_machine_does(lab: Lab) -> None:
    place = lab.folder / "private" / "photos"
    photos(place)
    (lab.folder / "photos.toml").write_text(PHOTOS.format(folder=place))
    here = f"sqlite:///{lab.folder}/here.db"
    confirm = ("confirm", "photos", "--top", "2", "--seeds", "2", "--baseline", "none")
    lab.here("run", "photos.toml", "--threads", "1", url=here)
    confirmed_here = lab.here(*confirm, "--threads", "1", "--json", url=here)

    code, stdout, stderr = lab.on_ray("run", "photos.toml", "--workers", "2", "--ship-data")
    assert code == 0, stderr
    # Nothing but the product speaks, whatever Ray prints.
    assert stdout.startswith("study photos: ended")
    said = stderr.splitlines()
    assert said[0].startswith("Ray ")
    assert all(line.startswith("trial ") for line in said[1:]), stderr
    lab.here(*confirm, "--enqueue")
    worker = ("worker", "-q", "--study", "photos", "--workers", "2", "--ship-data")
    assert lab.on_ray(*worker) == (0, "", "")
    confirmed_there = lab.here(*confirm, "--json")

    compared = [lab.here("compare", "photos", "--json", url=url) for url in (here, lab.url)]
    assert values(compared[0]) == values(compared[1])
    assert json.loads(confirmed_there) == json.loads(confirmed_here)
    # The nodes keep what they were sent to train on, and nothing of the test split.
    kept = [
        entry
        for node in ("a", "b")
        for entry in (lab.nodes.place(node) / "hypersearch/decoded/parcels").glob("*/meta.json")
    ]
    sizes = [json.loads(entry.read_text())["content"]["sizes"] for entry in kept]
    assert sizes
    assert all(each["test_labels.npy"] < each["train_labels.npy"] for each in sizes)


def test_a_file_is_no_storage_of_two_nodes(lab: Lab) -> None:
    (lab.folder / "file.toml").write_text(SLOW.format(name="file"))
    url = f"sqlite:///{lab.folder}/file.db"
    code, stdout, stderr = lab.on_ray("run", "file.toml", url=url)
    assert (code, stdout, stderr) == (
        2,
        "",
        f"hypersearch: storage {url}: 3 nodes cannot share a file: give a PostgreSQL or MySQL"
        " server that all of them reach, with --storage\n",
    )
    assert not (lab.folder / "file.db").exists()


def test_another_version_of_ray_is_refused_in_one_line(lab: Lab) -> None:
    script = (
        "import ray; ray.__version__ = '2.0.0'\n"
        "from search.engines.cluster.driver import main; main()"
    )
    ended = subprocess.run(
        [*lab.nodes.prefix, sys.executable, "-c", script],
        input=written(Hello(lab.nodes.address, lab.url)),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    refused = read_answer(ended.stdout)
    assert (refused.exit_code, ended.stderr) == (3, "")
    assert refused.refused is not None
    assert refused.refused.startswith(
        f"--ray-address {lab.nodes.address}: Ray refuses: Version mismatch: "
    )
    assert "\n" not in refused.refused


def test_whoever_places_workers_ends_them_and_a_node_that_dies_is_replaced(lab: Lab) -> None:
    (lab.folder / "slow.toml").write_text(SLOW.format(name="slow"))
    lab.here("create", "slow.toml")
    process = lab.start("run", "slow.toml", "--workers", "2")
    until(lambda: lab.machines() == sorted(map(lab.machine, ("a", "b"))))
    # What Ray sets for processes of its own is not the workers'.
    leaked = [
        name
        for worker in lab.nodes.workers()
        for name in worker.environ()
        if name.startswith(("RAY_", "OMP_NUM_THREADS"))
    ]
    assert leaked == []
    lab.nodes.kill("a")
    with started_by_ray():
        lab.nodes.add("c")
    until(lambda: lab.machine("c") in lab.machines())
    # What the dead one held waits for the end of its lease.
    assert lab.machine("a") in lab.machines()

    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == (
        "hypersearch: interrupted; the running trials were handed back; go on with: hypersearch run"
        " --study slow"
    )
    assert "is gone: it is started again where there is room" in stderr
    assert lab.nodes.workers() == []
    assert lab.machines() == [lab.machine("a")]

    process = lab.start("run", "--study", "slow", "--workers", "2")
    until(lambda: lab.machine("c") in lab.machines() and lab.machine("b") in lab.machines())
    process.kill()
    process.communicate(timeout=SECONDS)
    until(lambda: lab.nodes.workers() == [])
    assert lab.machine("b") not in lab.machines()
    assert lab.machine("c") not in lab.machines()
