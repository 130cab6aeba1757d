"""This process as leases and attempts record it."""

import os
import uuid

from objectives.processor import most_threads
from storage.computing import Computing
from storage.hosts import Host, process_start
from storage.leases.lease import Worker


def this_worker(host: Host, device: str, threads: int) -> Worker:
    """A worker of this process as leases and attempts record it."""
    pid = os.getpid()
    return Worker(
        uuid.uuid4().hex,
        host.name,
        host.machine,
        pid,
        process_start(pid),
        device,
        Computing(threads),
        most_threads(),
    )
