"""The weights of the pretrained network that a follow-up compares with."""

from objectives.errors import DataUnavailable
from search.machine.this_machine import Files
from search.spec.follow_up import BACKBONE, WEIGHTS, ConfirmPlan
from storage.artifacts import open_artifact_store, read
from storage.errors import ArtifactDamaged, ArtifactRootError, ArtifactsUnavailable
from storage.studies import StoredStudy


def read_weights(stored: StoredStudy | None, files: Files) -> tuple[str, bytes] | None:
    """The network's name and the file of its weights, which whoever made the follow-up has kept;
    `None` of a study without a pretrained baseline.

    Raises DataUnavailable where the artifacts are not to be had here.
    """
    if stored is None or stored.follow_up is None or stored.follow_up.kind != "confirm":
        return None
    candidate = ConfirmPlan.from_json(stored.follow_up.plan).pretrained
    if candidate is None:
        return None
    try:
        store = open_artifact_store(files.artifact_root)
        content = read(store, str(candidate.values[WEIGHTS]))
    except (ArtifactDamaged, ArtifactRootError, ArtifactsUnavailable) as error:
        raise DataUnavailable(
            f"study {stored.name!r}: the weights of its pretrained baseline are not to be had here"
            f" ({error}): say with --artifact-root where the artifacts of this storage are"
        ) from error
    return str(candidate.values[BACKBONE]), content
