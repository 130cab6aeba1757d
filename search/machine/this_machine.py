"""What this machine is to a worker: where files lie, and how it trains; never part of a study."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from objectives.checkpoint import CHECKPOINT_SECONDS
from objectives.errors import ProcessSpent
from search.machine.division import Share
from search.machine.folders import Place


@dataclass(frozen=True)
class Files:
    """Where the files of a storage's studies lie."""

    artifact_root: str  # a folder or s3://bucket/prefix
    checkpoint_root: Path  # may be shared by databases: each has a folder of its own there


@dataclass(frozen=True)
class Machine:
    """How to work on this machine: never part of a study."""

    data_root: Place
    cache_root: Place
    division_root: Place
    files: Files
    device: str = "auto"
    threads: int | None = None  # None: as many as one worker trains best with
    # Of so many workers of this machine, this one among them, nobody has said how many threads they
    # are to have.
    crew: int = 0
    # images that go through the network at a time; None: as many as train best
    piece: int | None = None
    process: int = 0  # of several on this machine: they take its GPUs in turn
    captures: bool = True  # optimizer steps, where the device records them
    # this process does nothing else: its memory may be managed for training until it ends
    own_process: bool = False
    synthetic_seconds: float = 0.0  # that an epoch of the made-up objective takes
    # of training, at least, between two that are written
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    # where folders of images lie here, by their stored name
    data_map: Mapping[str, Path] = field(default_factory=dict)
    accept_data: bool = False  # studies go on with the data that is here, whatever they had before
    # A socket where images are asked for that are not here; None: they are.
    parcels: Path | None = None

    def shared(self, share: Share) -> "Machine":
        """How each of so many workers is to work."""
        return replace(
            self, threads=share.threads, crew=share.workers if self.threads is None else 0
        )

    def after(self, spent: ProcessSpent) -> "Machine":
        """How the next process is to work where one was spent on this machine."""
        return replace(self, captures=self.captures and spent.captures)
