"""Files of trials, kept by their content in a folder or an S3-compatible bucket, as Optuna's
artifacts.
"""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath

from optuna.artifacts import ArtifactMeta
from optuna.artifacts.exceptions import ArtifactNotFound

from storage.artifact_bucket import open_bucket
from storage.artifact_folder import FolderStore
from storage.artifact_store import ArtifactStore
from storage.errors import ArtifactDamaged, ArtifactsUnavailable

# The dashboard serves an artifact with its MIME type, and has no passwords: HTML must never stand
# here.
MIME_TYPES = {".png": "image/png", ".csv": "text/csv"}
DEFAULT_MIME_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class StoredArtifact:
    """A file that is in a store."""

    # The id is the SHA-256 of the content, in hexadecimal digits.
    artifact_id: str
    file_name: str
    mime_type: str


def open_artifact_store(root: str) -> ArtifactStore:
    """The store at `root`: a folder, made by the first write, or
    s3://bucket/prefix?endpoint_url=http://host:9000.

    A bucket's credentials come from where boto3 finds them (environment, ~/.aws, the machine's
    role), with the rights to get, put and delete objects and to list the bucket. Nothing is asked
    of a bucket before the first use.

    >>> store = open_artifact_store("hypersearch-artifacts")
    >>> stored = put(store, {"curve.csv": b"epoch,loss"})
    >>> read(store, stored[0].artifact_id)
    b'epoch,loss'

    Raises:
        ArtifactRootError: it cannot be read, or boto3 is not installed.
    """
    if "://" not in root:
        return FolderStore(root)
    return open_bucket(root)


def put(store: ArtifactStore, files: Mapping[str, bytes]) -> tuple[StoredArtifact, ...]:
    """Keeps files (name -> content); a content that is there already is not written again.

    Raises:
        ArtifactsUnavailable: the store cannot be written to; repeating it is safe.
    """
    stored = []
    for name, content in files.items():
        artifact_id = id_of(content)
        if not store.holds(artifact_id):
            store.write(artifact_id, io.BytesIO(content))
        stored.append(
            StoredArtifact(
                artifact_id, name, MIME_TYPES.get(PurePath(name).suffix, DEFAULT_MIME_TYPE)
            )
        )
    return tuple(stored)


def id_of(content: bytes) -> str:
    """Under which id a content is kept: its SHA-256, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def attributes(artifacts: Sequence[StoredArtifact]) -> dict[str, str]:
    """System attributes of a trial that make these its artifacts, as
    `optuna.artifacts.upload_artifact` writes them.
    """
    return {
        f"artifacts:{artifact.artifact_id}": json.dumps(
            asdict(
                ArtifactMeta(
                    artifact.artifact_id, artifact.file_name, artifact.mime_type, encoding=None
                )
            )
        )
        for artifact in artifacts
    }


def read(store: ArtifactStore, artifact_id: str) -> bytes:
    """The content of an artifact.

    Raises:
        ArtifactsUnavailable: it is not there, or the store cannot be read.
        ArtifactDamaged: what is there is not what was written.
    """
    try:
        with store.open_reader(artifact_id) as file:
            content = file.read()
    except ArtifactNotFound:
        raise ArtifactsUnavailable(store.root, f"artifact {artifact_id} is not there") from None
    if id_of(content) != artifact_id:
        raise ArtifactDamaged(store.root, artifact_id)
    return content
