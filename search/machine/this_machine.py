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

    # The root is a folder or s3://bucket/prefix.
    artifact_root: str
    # Databases may share the root: each has a folder of its own there.
    checkpoint_root: Path


@dataclass(frozen=True)
class Machine:
    """How to work on this machine: never part of a study."""

    data_root: Place
    cache_root: Place
    division_root: Place
    files: Files
    device: str = "auto"
    # The threads are None where they are as many as one worker trains best with.
    threads: int | None = None
    # Of so many workers of this machine, this one among them, nobody has said how many threads they
    # are to have.
    crew: int = 0
    # So many images go through the network at a time; None: as many as train best.
    piece: int | None = None
    # The processes of a machine have numbers, by which they take its GPUs in turn.
    process: int = 0
    # Optimizer steps are captured where the device records them.
    captures: bool = True
    # A process that does nothing else may have its memory managed for training until it ends.
    own_process: bool = False
    # An epoch of the made-up objective takes so long.
    synthetic_seconds: float = 0.0
    # Between two checkpoints that are written lie so many seconds of training at least.
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    # Folders of images lie here at these places, by their stored names.
    data_map: Mapping[str, Path] = field(default_factory=dict)
    # Studies go on with the data that is here, whatever they had before.
    accept_data: bool = False
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
