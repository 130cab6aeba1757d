"""Weights that a pretrained baseline is given: found, checked and kept before anything is made."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from objectives.errors import DataError
from objectives.names import BACKBONES
from search.spec.follow_up import PRETRAINED
from search.studies.followups.refused import FollowUpRefused
from storage.artifacts import attributes, id_of, open_artifact_store
from storage.engine import Database
from storage.errors import ArtifactsUnavailable, StorageUnavailable
from storage.owners import Owner


@dataclass(frozen=True, eq=False)
class GivenWeights:
    """The network of a pretrained baseline, and its weights."""

    backbone: str
    # Without a file it is the one that torchvision has; the content is the file's.
    file: Path | None
    content: bytes | None

    @property
    def sha256(self) -> str | None:
        """Of the file; `None` where it is torchvision's."""
        return None if self.content is None else id_of(self.content)

    def checked(self) -> bytes:
        """The content of the file of weights, torchvision's downloaded where it is not there.

        Raises DataError where it is not of that network, DataUnavailable where it is not to be had.
        """
        import torch

        from objectives.backbone import open_backbone, torchvisions_weights

        content, source = self.content, f"--weights {self.file}"
        if content is None:
            content, source = torchvisions_weights(self.backbone), f"torchvision's {self.backbone}"
        open_backbone(self.backbone, content, source, torch.device("cpu"))
        return content


def given_weights(
    baseline: str | None, backbone: str | None, file: str | Path | None
) -> GivenWeights | None:
    """What a confirmation is told of its baseline; `None` where that is not a pretrained one.

    Raises FollowUpRefused where it is told what does not go together, DataError for a file that
    cannot be read.
    """
    if baseline != PRETRAINED:
        for option, value in (("--weights", file), ("--backbone", backbone)):
            if value is not None:
                raise FollowUpRefused.not_pretrained(option)
        return None
    name = BACKBONES[0] if backbone is None else backbone
    if name not in BACKBONES:
        raise FollowUpRefused.no_backbone(name, BACKBONES)
    if file is None:
        return GivenWeights(name, None, None)
    try:
        return GivenWeights(name, Path(file), Path(file).read_bytes())
    except OSError as error:
        raise DataError(
            f"--weights {file}: it cannot be read ({error.strerror or error}): name a file of"
            f" weights of {name}"
        ) from error


@contextmanager
def kept(
    database: Database, artifact_root: str, files: Mapping[str, bytes]
) -> Iterator[dict[str, str]]:
    """Keeps files (name -> content) for a study that is made inside: the attributes that make them
    its own. Where it is not made, they go again.

    Raises ArtifactRootError, ArtifactsUnavailable.
    """
    if not files:
        yield {}
        return
    owner = Owner(database, open_artifact_store(artifact_root))
    stored = owner.put(files)
    try:
        yield attributes(stored)
    except BaseException:
        with suppress(ArtifactsUnavailable, StorageUnavailable):
            owner.release(each.artifact_id for each in stored)
        raise
    # What a deletion elsewhere, which had looked before, has removed in between.
    owner.put(files)
