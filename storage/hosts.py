"""Where processes run, and whether one is still alive."""

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Host:
    """Where a process runs: a name for people, and an identity within which process ids mean
    something.
    """

    name: str
    machine: str


def this_host(identity: str = "") -> Host:
    """This machine in this boot and process namespace: containers may share a host's name but not
    its processes.

    With an `identity`, a machine of that name, whatever else the system says: for several of them
    that are acted on one.
    """
    name = socket.gethostname()
    parts = [name, *([identity] if identity else [])]
    if (boot := Path("/proc/sys/kernel/random/boot_id")).exists():
        parts.append(boot.read_text().strip())
    if (namespace := Path("/proc/self/ns/pid")).is_symlink():
        parts.append(str(namespace.readlink()))
    return Host(name, hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32])


def process_start(pid: int) -> float:
    """When the process with this id started, in seconds.

    On Linux since the boot: seconds since 1970 would jump with the system's clock, and a living
    process seem another.

    Raises:
        psutil.NoSuchProcess: there is none.
    """
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return psutil.Process(pid).create_time()
    # The start is field 22 of proc(5), counted from the third, after the name in brackets, which
    # may hold blanks.
    return int(stat.read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")


def has_died(pid: int, started: float) -> bool:
    """Whether the process of this machine that had this id and start is gone, or not yet waited for
    by its parent.
    """
    try:
        return (
            abs(process_start(pid) - started) > 1
            or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        )
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        # A system may hide the processes of other users.
        return not psutil.pid_exists(pid)
