"""A Ray cluster in short: two nodes of one machine, the head among them. test_ray has the rest."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from lab.ray_nodes import HEAD, Nodes
from lab.soak_check import faults, gather
from lab.soak_reading import Reader
from lab.soak_study import create
from objectives.checkpoint import CHECKPOINT_SECONDS
from search.spec.document import Document
from storage.engine import open_for_work
from tests.conftest import missing
from tests.forked import Started
from tests.search.engines.cluster.on_ray import SECONDS, Lab, started_by_ray, until

STUDY: Document = {
    "study": {"name": "s", "trials": 8, "sampler": "random", "pruner": "none"},
    "data": {"dataset": "synthetic"},
    "training": {"epochs": 3},
}
ENDLESS: Document = {
    "study": {"name": "endless", "trials": 1000, "sampler": "random", "pruner": "none"},
    "data": {"dataset": "synthetic"},
}


@pytest.fixture
def lab(tmp_path: Path, new_database: Callable[[str], str]) -> Iterator[Lab]:
    """Two nodes of one CPU."""
    missing("Ray (pip install 'hypersearch[ray]')", find_spec("ray") is not None)
    with ExitStack() as stack:
        with started_by_ray():
            nodes = stack.enter_context(Nodes(tmp_path / "nodes", are_one_machine=True))
            nodes.add("b", cpus=1)
        found = Lab(nodes, new_database("postgresql"), tmp_path)
        stack.callback(found.close)
        yield found


def holds_a_trial(worker: psutil.Process, lab: Lab) -> bool:
    held = lab.ask("SELECT pid FROM hypersearch_lease WHERE owner IS NOT NULL")
    return (worker.pid,) in held


def is_frozen_in_a_trial(worker: psutil.Process, lab: Lab) -> bool:
    """Freezes it if it holds one, so that it does so however long its node takes to die."""
    worker.suspend()
    if holds_a_trial(worker, lab):
        return True
    worker.resume()
    return False


# One test, as one cluster serves it wherever it runs: starting another one takes longer than this.
def test_the_budget_is_kept_when_a_node_dies_and_no_worker_outlives_who_hired_it(lab: Lab) -> None:
    # Two workers wait for a study, so that both have a trial of the first one there is.
    with open_for_work(lab.url)[0]:
        pass
    on_ray = ("--engine", "ray", "--ray-address", lab.nodes.address, "--workers", "2")
    hirer = Started(lab.folder, "worker", "--forever", "-q", *on_ray, **lab.environment())
    until(lambda: len(lab.ask("SELECT pid FROM hypersearch_worker")) == 2)
    (there,), (left,) = (lab.nodes.workers(node) for node in (HEAD, "b"))
    spec = create(lab.url, STUDY)
    until(lambda: is_frozen_in_a_trial(left, lab))
    lab.nodes.kill("b")
    until(lambda: lab.ask("SELECT 1 FROM hypersearch_study WHERE state = 'ended'"))
    reader = Reader(lab.url, "s")
    evidence = gather(reader, spec, None, lab.folder / "artifacts", CHECKPOINT_SECONDS)
    reader.close()
    assert faults(evidence) == []
    ends = Counter(row["outcome"] for each in evidence.trials.values() for row in each.attempts)
    # What the dead node held was taken up.
    assert ends == Counter(complete=8, lost=1)

    create(lab.url, ENDLESS)
    until(lambda: holds_a_trial(there, lab))
    (driver,) = psutil.Process(hirer.pid).children()
    hirer.kill()
    hirer.communicate(timeout=SECONDS)
    until(lambda: lab.nodes.workers() == [])
    # It was handed back in order.
    assert lab.machines() == []
    until(lambda: not driver.is_running())
