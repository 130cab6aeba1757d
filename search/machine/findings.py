"""What `hypersearch doctor` finds: each part of a machine good or with its mend, and the facts. It
looks in `search.machine.checkup`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from search.machine.division import Division
from storage.artifact_store import Holdings

# What is found of a folder that nobody knows.
NO_FOLDER = "not known"


@dataclass(frozen=True)
class Package:
    """An installed distribution; `version` is `None` where it is not there."""

    name: str
    version: str | None
    wanted: str
    # This extra of the distribution brings it.
    extra: str | None = None


@dataclass(frozen=True)
class Processor:
    """What workers compute with."""

    model: str
    # The cores are `None` where the system does not say them.
    cores: int | None
    threads: int
    # This process may use so many threads.
    usable_threads: int
    memory_bytes: int
    available_bytes: int


@dataclass(frozen=True)
class Accelerator:
    """A device beside the processor, as `--device` names it."""

    device: str
    model: str
    memory_bytes: int | None


@dataclass(frozen=True)
class KnownDivision:
    """What this machine was measured to train best with, and the file that says so."""

    file: str
    division: Division


@dataclass(frozen=True)
class StorageFacts:
    """A database that answers."""

    url: str
    schema: str
    # The database's clock is so far before this machine's.
    ahead_seconds: float
    # A short transaction takes so long, by the median.
    transaction_seconds: float


@dataclass(frozen=True)
class FolderFacts:
    """A place for files."""

    path: str
    is_there: bool
    free_bytes: int
    # The place holds data sets, decoded data sets, or so many artifacts.
    holds: tuple[str, ...]


FolderPart = Literal["data folder", "cache", "artifact root"]
Facts = Package | Processor | Accelerator | KnownDivision | StorageFacts | FolderFacts | Holdings


@dataclass(frozen=True)
class Finding:
    """One part of the machine: what was found and, where that is not good, the mend."""

    part: str
    found: str
    mend: str | None = None
    # The exit code is the contract's, where the part is not good.
    exit_code: int = 0
    facts: tuple[Facts, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether nothing needs mending."""
        return self.mend is None


def worst_exit_code(findings: Sequence[Finding]) -> int:
    """0 where all is good; 3 where something is out of reach, else 2."""
    return max((finding.exit_code for finding in findings), default=0)


def gigabytes(count: float) -> str:
    """So many bytes, for people."""
    return f"{count / 1e9:.1f} GB"
