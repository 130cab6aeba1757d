"""What a worker works with, whatever the study."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from objectives.checkpoint import CHECKPOINT_SECONDS
from search.worker.artifacts import IncumbentArtifacts
from storage.engine import Database
from storage.leases.keeper import Keeper
from storage.leases.taking import TrialLeases


@dataclass(frozen=True)
class Workplace:
    """What a worker works with, whatever the study."""

    database: Database
    leases: TrialLeases
    keeper: Keeper
    # The folder is this database's alone.
    checkpoint_root: Path
    artifacts: IncumbentArtifacts
    # So long a training goes on, at least, between two checkpoints that are written.
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    monotonic: Callable[[], float] = time.monotonic
