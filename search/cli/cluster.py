"""Workers that Ray places, as the options of `run` and `worker` ask for them."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from search.cli.option_groups import ClusterOptions, PlaceOptions
from search.cli.reading import CommandLineError, read_amount, read_whole

if TYPE_CHECKING:
    from search.engines.cluster.crew import RemoteCrew
    from search.engines.cluster.placement import Placement
    from search.machine.this_machine import Machine
    from search.worker.events import Tell

# A larger number is a slip of the keyboard.
MOST_WORKERS = 100_000


def read_placement(asked: ClusterOptions) -> "Placement | None":
    """How Ray is to place workers; `None` for the local engine. Raises CommandLineError,
    ClusterRefused.
    """
    engine, cpus, gpus = asked.engine, asked.cpus_per_worker, asked.gpus_per_worker
    given = {
        "--ray-address": asked.ray_address is not None,
        "--cpus-per-worker": cpus is not None,
        "--gpus-per-worker": gpus is not None,
        "--ship-data": asked.ship_data,
    }
    if engine not in ("local", "ray"):
        raise CommandLineError(f"--engine {engine}: give local or ray")
    if engine == "local":
        if any(given.values()):
            option = next(name for name, is_given in given.items() if is_given)
            raise CommandLineError(f"{option} goes with --engine ray: add that, or leave it out")
        return None
    from search.engines.cluster.placement import Placement, check_installed

    check_installed()
    return Placement(
        asked.ray_address,
        1.0 if cpus is None else read_amount("--cpus-per-worker", cpus),
        None if gpus is None else read_amount("--gpus-per-worker", gpus),
        asked.ship_data,
    )


def read_worker_count(workers: str) -> int | None:
    """On a cluster, which may have more cores than this machine; `None` for auto."""
    return None if workers == "auto" else read_whole("--workers", workers, 1, MOST_WORKERS)


def remote_crew(
    placement: "Placement",
    workers: int | None,
    url: str,
    machine: "Machine",
    tell: "Tell",
    place: PlaceOptions,
    *,
    quiet: bool,
    forever: bool = False,
) -> "RemoteCrew":
    """Workers that go about it as `machine` does, where what was asked for holds on every node.

    Raises CommandLineError, ClusterRefused.
    """
    from search.engines.cluster.crew import RemoteCrew
    from search.engines.cluster.hiring import orders_for
    from search.engines.cluster.messages import Hello
    from search.engines.cluster.placement import ClusterRefused

    if machine.device.startswith("cuda:"):
        raise ClusterRefused.one_device(machine.device)
    root = place.data.data_root
    orders = orders_for(
        placement,
        workers,
        url,
        machine,
        os.environ,
        data_root=None if root is None else Path(root),
        artifact_root=place.artifact_root,
        quiet=quiet,
        forever=forever,
    )
    return RemoteCrew(Hello(placement.address, url, "--debug" in sys.argv), orders, tell)
