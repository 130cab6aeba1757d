"""How workers are placed on a Ray cluster, as the user asks for it, and why they cannot be; no Ray
is loaded.
"""

import socket
from dataclasses import dataclass
from importlib.util import find_spec

# A cluster has so long to take a connection.
ANSWER_SECONDS = 5.0


class ClusterRefused(Exception):
    """No worker can be placed, as it was asked for; `exit_code` is that of the command."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code

    @classmethod
    def not_installed(cls) -> "ClusterRefused":
        return cls(
            "--engine ray: Ray is not installed: pip install 'hypersearch[ray]', or leave it out",
            2,
        )

    @classmethod
    def client(cls, address: str) -> "ClusterRefused":
        return cls(
            f"--ray-address {address}: Ray's client protocol cannot be used: run this on a machine"
            " of the cluster, with HOST:PORT as 'ray start --head' printed it",
            2,
        )

    @classmethod
    def no_address(cls, address: str) -> "ClusterRefused":
        return cls(
            f"--ray-address {address}: write HOST:PORT as 'ray start --head' printed it, or auto,"
            " or local",
            2,
        )

    @classmethod
    def nobody_there(cls, address: str, why: str) -> "ClusterRefused":
        return cls(
            f"--ray-address {address}: no Ray cluster answers there ({why}): start one with"
            " 'ray start --head', or leave it out to use this machine alone",
            3,
        )

    @classmethod
    def by_ray(cls, address: str | None, why: str) -> "ClusterRefused":
        where = "--engine ray" if address is None else f"--ray-address {address}"
        return cls(f"{where}: Ray refuses: {why}", 3)

    @classmethod
    def one_file(cls, url: str, nodes: int) -> "ClusterRefused":
        return cls(
            f"storage {url}: {nodes} nodes cannot share a file: give a PostgreSQL or MySQL server"
            " that all of them reach, with --storage",
            2,
        )

    @classmethod
    def one_device(cls, device: str) -> "ClusterRefused":
        return cls(
            f"--device {device}: Ray chooses among a node's GPUs: give cuda, and"
            " --gpus-per-worker for a share of one",
            2,
        )


@dataclass(frozen=True)
class Placement:
    """What each worker takes of a cluster, and which cluster that is."""

    # Without an address it is the running one, else one on this machine alone.
    address: str | None = None
    cpus: float = 1.0
    # Without a number it is one where the cluster has any and the device may be one.
    gpus: float | None = None
    # Images go to the nodes from here, through Ray's object store.
    ships_data: bool = False

    @property
    def threads(self) -> int:
        """That a worker computes with, where nobody says otherwise: one for each CPU it takes."""
        return max(1, int(self.cpus))


def check_installed() -> None:
    """Raises ClusterRefused where Ray is not."""
    if find_spec("ray") is None:
        raise ClusterRefused.not_installed()


def check_address(address: str) -> None:
    """Whether somebody listens there: Ray itself would wait for half a minute. Raises
    ClusterRefused.
    """
    if address in ("auto", "local"):
        return
    if "://" in address:
        raise ClusterRefused.client(address)
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ClusterRefused.no_address(address)
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ClusterRefused.nobody_there(address, why) from error
