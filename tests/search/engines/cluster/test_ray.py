"""A Ray cluster of two nodes on this machine, each a machine of its own to the product."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from lab.ray_nodes import Nodes
from lab.servers import FilePostgreSQLServer
from search.engines.cluster.messages import Hello, read_answer, written
from tests.conftest import missing
from tests.search.engines.cluster.on_ray import SECONDS, SLOW, Lab, started_by_ray, until

# Nodes of a cluster start for half a minute each, and leases of dead ones expire for longer.
pytestmark = pytest.mark.cluster
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
        found = Lab(nodes, stack.enter_context(server).database("ray"), folder)
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
