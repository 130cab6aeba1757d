"""What a store of artifacts is, whatever keeps it: a folder or a bucket."""

import re
from dataclasses import dataclass
from typing import BinaryIO, Protocol

# No other name in a root is an artifact of ours.
ARTIFACT_ID = re.compile(r"[0-9a-f]{64}")
# The folder of an artifact's marks is named by the artifact and this.
OWNERS = ".owners"


@dataclass(frozen=True)
class Holdings:
    """How much a store holds: artifacts, neither their marks nor what else lies there."""

    artifacts: int
    size_bytes: int
    # Where it is not all, there are more, which were not counted.
    is_all: bool = True


class ArtifactStore(Protocol):
    """Where artifacts are: Optuna's protocol of that name, and whether one is there."""

    # Messages name the store so.
    root: str

    def holds(self, artifact_id: str) -> bool:
        """Whether it is there; raises ArtifactsUnavailable."""

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Its content; raises ArtifactsUnavailable, or Optuna's ArtifactNotFound."""

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Keeps it, whole or not at all; raises ArtifactsUnavailable."""

    def remove(self, artifact_id: str) -> None:
        """Forgets it; raises ArtifactsUnavailable, or Optuna's ArtifactNotFound."""

    def mark(self, artifact_id: str, owner: str) -> None:
        """Notes beside it, whether or not it is there, that this owner wants it; raises
        ArtifactsUnavailable.
        """

    def unmark(self, artifact_id: str, owner: str) -> None:
        """Takes that back; raises ArtifactsUnavailable."""

    def owners(self, artifact_id: str) -> frozenset[str]:
        """Who has marked it; raises ArtifactsUnavailable."""

    def holdings(self) -> Holdings:
        """How much is there, of a bucket as far as a few requests tell; raises
        ArtifactsUnavailable.
        """
