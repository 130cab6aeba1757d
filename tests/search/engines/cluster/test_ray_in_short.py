"""A Ray cluster in short: two nodes of one machine, the head among them. test_ray has the rest."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec

import psutil
import pytest

from lab.ray_nodes import HEAD, Nodes
from lab.servers import FilePostgreSQLServer
from lab.soak_check import faults, gather
from lab.soak_reading import Reader
from lab.soak_study import create
from objectives.checkpoint import CHECKPOINT_SECONDS
from search.spec.document import Document
from tests.conftest import missing
from tests.search.engines.cluster.on_ray import SECONDS, Lab, started_by_ray, until

STUDY: Document = {
    "study": {"name": "s", "trials": 6, "sampler": "random", "pruner": "none"},
    "data": {"dataset": "synthetic"},
    "training": {"epochs": 3},
}
ENDLESS: Document = {
    "study": {"name": "endless", "trials": 1000, "sampler": "random", "pruner": "none"},
    "data": {"dataset": "synthetic"},
}


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two nodes of one CPU and a PostgreSQL."""
    missing("Ray (pip install 'hypersearch[ray]')", find_spec("ray") is not None)
    folder = tmp_path_factory.mktemp("ray")
    with ExitStack() as stack:
        with started_by_ray():
            nodes = stack.enter_context(Nodes(folder / "nodes", are_one_machine=True))
            nodes.add("b", cpus=1)
        server = FilePostgreSQLServer(tmp_path_factory.mktemp("pg") / "data")
        found = Lab(nodes, stack.enter_context(server), folder)
        stack.callback(found.close)
        yield found


# One test, as one cluster serves it wherever it runs: starting another one takes longer than this.
def test_the_budget_is_kept_when_a_node_dies_and_no_worker_outlives_who_hired_it(lab: Lab) -> None:
    # Two workers wait for a study, so that both have a trial of the first one there is.
    hirer = lab.start("worker", "--forever", "--workers", "2", "-q")
    until(lambda: len(lab.ask("SELECT pid FROM hypersearch_worker")) == 2)
    assert [len(lab.nodes.workers(node)) for node in (HEAD, "b")] == [1, 1]
    spec = create(lab.url, STUDY)
    until(lambda: len(lab.machines()) == 2)
    lab.nodes.kill("b")
    until(lambda: lab.ask("SELECT 1 FROM hypersearch_study WHERE state = 'ended'"))
    reader = Reader(lab.url, "s")
    evidence = gather(reader, spec, None, lab.folder / "artifacts", CHECKPOINT_SECONDS)
    reader.close()
    assert faults(evidence) == []
    ends = Counter(row["outcome"] for each in evidence.trials.values() for row in each.attempts)
    # What the dead node held was taken up.
    assert ends == Counter(complete=6, lost=1)

    create(lab.url, ENDLESS)
    until(lab.machines)
    (driver,) = psutil.Process(hirer.pid).children()
    hirer.kill()
    hirer.communicate(timeout=SECONDS)
    until(lambda: lab.nodes.workers() == [])
    # It was handed back in order.
    assert lab.machines() == []
    until(lambda: not driver.is_running())
