"""A Ray cluster found or started, and left again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import ray

from search.engines.cluster.messages import Hello
from search.engines.cluster.placement import ClusterRefused
from storage.text import on_one_line
from storage.urls import parse_url, shown_url


@dataclass(frozen=True)
class Node:
    """A machine of the cluster that is there now."""

    id: str
    cpus: float
    gpus: float


@dataclass(frozen=True)
class Cluster:
    """A cluster that is connected."""

    # Where the storage is a file, workers stay beside it, on this node alone.
    only_node: str | None

    def nodes(self) -> list[Node]:
        """Those that are there now."""
        return [
            Node(
                each["NodeID"],
                each["Resources"].get("CPU", 0.0),
                each["Resources"].get("GPU", 0.0),
            )
            for each in ray.nodes()
            if each["Alive"]
        ]

    @property
    def description(self) -> str:
        """For people."""
        nodes = self.nodes()
        cpus, gpus = sum(each.cpus for each in nodes), sum(each.gpus for each in nodes)
        noun = "node" if len(nodes) == 1 else "nodes"
        return (
            f"Ray {ray.__version__}: {len(nodes)} {noun}, {cpus:g} CPUs"
            f"{f', {gpus:g} GPUs' if gpus else ''}"
        )


@contextmanager
def connected(hello: Hello) -> Iterator[Cluster]:
    """Inside, Ray is connected: to the address, else to the cluster that runs here, else to one
    that is started on this machine alone and ends with this. Raises ClusterRefused.
    """
    # Read by Ray when it is connected: it counts its users otherwise, and asks them whether it may.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    _connect(hello.address)
    try:
        url = parse_url(hello.url)
        is_file = url.get_backend_name() == "sqlite"
        here = ray.get_runtime_context().get_node_id()
        cluster = Cluster(here if is_file else None)
        if is_file and (count := len(cluster.nodes())) > 1:
            raise ClusterRefused.one_file(shown_url(url), count)
        yield cluster
    finally:
        ray.shutdown()


def _connect(address: str | None) -> None:
    try:
        if address is None:
            try:
                _init("auto")
            except ConnectionError:
                _init("local")
        else:
            _init(address)
    except ConnectionError as error:
        raise ClusterRefused.nobody_there(address or "auto", _first_line(error)) from error
    # Ray raises bare exceptions, too: of a node that did not start in time, say.
    except Exception as error:
        raise ClusterRefused.by_ray(address, on_one_line(str(error).strip())) from error


def _init(address: str) -> None:
    ray.init(
        address=address,
        log_to_driver=False,
        logging_level="ERROR",
        namespace="hypersearch",
        # A cluster that is there has its own, or none.
        **({"include_dashboard": False} if address == "local" else {}),
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
