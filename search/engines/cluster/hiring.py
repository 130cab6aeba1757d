"""What workers on other machines are told: what was asked for, and nothing that this machine alone
has.
"""

from collections.abc import Mapping
from pathlib import Path

from search.engines.cluster.messages import Orders, Where
from search.engines.cluster.placement import Placement
from search.machine.settings import BETWEEN_CHECKPOINTS, CAPTURES, PIECE, SYNTHETIC_SECONDS
from search.machine.this_machine import Machine
from storage.urls import parse_url, sqlite_path

# Variables of whoever hires that say how to work, wherever that is.
SHARED_VARIABLES = (SYNTHETIC_SECONDS, BETWEEN_CHECKPOINTS, CAPTURES, PIECE)
DATA, ARTIFACTS = "HYPERSEARCH_DATA", "HYPERSEARCH_ARTIFACTS"


def orders_for(
    placement: Placement,
    workers: int | None,
    url: str,
    machine: Machine,
    environment: Mapping[str, str],
    *,
    data_root: Path | None,
    artifact_root: str | None,
    quiet: bool,
    forever: bool = False,
) -> Orders:
    """Workers that go about it as `machine` does. Folders are handed on where somebody has named
    them: each node has its own otherwise.

    Raises StorageURLError.
    """
    threads = placement.threads if machine.threads is None else machine.threads
    data_root = data_root or _folder(environment.get(DATA))
    artifacts = artifact_root or environment.get(ARTIFACTS) or None
    arguments = ["--threads", str(threads)]
    arguments += [] if data_root is None else ["--data-root", str(data_root.absolute())]
    arguments += [f"--data-map={stored}={here}" for stored, here in machine.data_map.items()]
    arguments += ["--accept-data"] * machine.accept_data
    arguments += [] if artifacts is None else ["--artifact-root", _absolute(artifacts)]
    arguments += ["--quiet"] * quiet + ["--forever"] * forever
    ships = placement.ships_data
    where = Where(
        None if data_root is None else str(data_root.absolute()),
        {stored: str(here) for stored, here in machine.data_map.items()},
        machine.accept_data,
    )
    return Orders(
        workers,
        placement.cpus,
        placement.gpus,
        (),
        machine.device,
        arguments,
        # Others see arguments, and a URL may hold a password.
        {"HYPERSEARCH_STORAGE": _from_anywhere(url)}
        | {name: environment[name] for name in SHARED_VARIABLES if environment.get(name)},
        where if ships else None,
    )


def _folder(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def _absolute(artifacts: str) -> str:
    return artifacts if "://" in artifacts else str(Path(artifacts).expanduser().absolute())


def _from_anywhere(url: str) -> str:
    """An actor has another working folder."""
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return url
    return parsed.set(database=str(sqlite_path(parsed).absolute())).render_as_string(
        hide_password=False
    )
