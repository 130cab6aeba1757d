"""Files of trials, kept by their content in a folder or an S3-compatible bucket, as Optuna's
artifacts.
"""

import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path, PurePath
from typing import BinaryIO, Literal, Protocol, TypedDict
from urllib.parse import parse_qs, urlsplit

from optuna.artifacts import ArtifactMeta, Boto3ArtifactStore, FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from storage.errors import ArtifactDamaged, ArtifactRootError, ArtifactsUnavailable

# The dashboard serves an artifact with its MIME type, and has no passwords: HTML must never stand
# here.
MIME_TYPES = {".png": "image/png", ".csv": "text/csv"}
DEFAULT_MIME_TYPE = "application/octet-stream"

ARTIFACT_ID = re.compile(r"[0-9a-f]{64}")  # no other name in a root is an artifact of ours
_OWNERS = ".owners"  # what is added to an artifact's name for the folder of its marks
# to make a mark's folder and the mark, where others remove the folder in between
_MARK_ATTEMPTS = 20
_BUCKET = re.compile(r"[a-zA-Z0-9.\-_]{1,255}")  # as botocore checks it
# Transient failures are tried again, each after a random wait of at most 1, 2, ... s (botocore's
# "standard" mode). Writing again is safe: the same content goes to the same key.
_S3_ATTEMPTS = 3
_S3_PAGES = 10  # of at most 1,000 names, to count what a bucket holds
_S3_CONNECT_TIMEOUT_SECONDS = 5
_S3_READ_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class StoredArtifact:
    """A file that is in a store."""

    artifact_id: str  # SHA-256 of the content, hex
    file_name: str
    mime_type: str


@dataclass(frozen=True)
class Holdings:
    """How much a store holds: artifacts, neither their marks nor what else lies there."""

    artifacts: int
    size_bytes: int
    is_all: bool = True  # else there are more, which were not counted


class ArtifactStore(Protocol):
    """Where artifacts are: Optuna's protocol of that name, and whether one is there."""

    root: str  # as messages name it

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
        return _Folder(root)
    return _open_bucket(root)


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


class _Folder(FileSystemArtifactStore):
    # Optuna's layout, one file an artifact; its own write may leave half a file.

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.root = root

    def holds(self, artifact_id: str) -> bool:
        with self._reaching():
            return (Path(self.root) / artifact_id).is_file()

    def open_reader(self, artifact_id: str) -> BinaryIO:
        with self._reaching():
            return super().open_reader(artifact_id)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        with self._reaching():
            folder = Path(self.root)
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".aside-") as aside:
                path = Path(aside) / artifact_id
                with path.open("wb") as file:
                    shutil.copyfileobj(content_body, file)
                    file.flush()
                    os.fsync(file.fileno())
                path.replace(folder / artifact_id)

    def remove(self, artifact_id: str) -> None:
        with self._reaching():
            super().remove(artifact_id)

    def mark(self, artifact_id: str, owner: str) -> None:
        marks = self._marks(artifact_id)
        with self._reaching():
            for _ in range(_MARK_ATTEMPTS):
                marks.mkdir(parents=True, exist_ok=True)
                # another owner has just left, and removed the folder that was empty
                with suppress(FileNotFoundError):
                    (marks / owner).touch()
                    return
        raise ArtifactsUnavailable(self.root, f"{marks.name} is removed again and again")

    def unmark(self, artifact_id: str, owner: str) -> None:
        marks = self._marks(artifact_id)
        with self._reaching():
            (marks / owner).unlink(missing_ok=True)
            with suppress(OSError):  # others' are in it, or it is gone
                marks.rmdir()

    def owners(self, artifact_id: str) -> frozenset[str]:
        with self._reaching():
            try:
                return frozenset(path.name for path in self._marks(artifact_id).iterdir())
            except FileNotFoundError:
                return frozenset()

    def holdings(self) -> Holdings:
        with self._reaching():
            folder = Path(self.root)
            entries = folder.iterdir() if folder.exists() else ()
            sizes = [
                each.stat().st_size
                for each in entries
                if ARTIFACT_ID.fullmatch(each.name) and each.is_file()
            ]
            return Holdings(len(sizes), sum(sizes))

    def _marks(self, artifact_id: str) -> Path:
        return Path(self.root) / f"{artifact_id}{_OWNERS}"

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArtifactsUnavailable(self.root, error.strerror or str(error)) from error


class _S3Client(Protocol):
    # Of boto3's, which has no types, what is called here.
    def head_object(self, *, Bucket: str, Key: str) -> object: ...  # noqa: N803
    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> object: ...  # noqa: N803
    def delete_object(self, *, Bucket: str, Key: str) -> object: ...  # noqa: N803
    def get_paginator(self, operation_name: Literal["list_objects_v2"], /) -> "_S3Paginator": ...


class _S3Paginator(Protocol):
    def paginate(self, *, Bucket: str, Prefix: str, Delimiter: str = "") -> "Iterable[_S3Page]": ...  # noqa: N803


class _S3Object(TypedDict):
    Key: str
    Size: int


class _S3Page(TypedDict, total=False):
    Contents: list[_S3Object]


class _Bucket(Boto3ArtifactStore):
    # Optuna's store with a prefix before each key.

    def __init__(self, root: str, bucket: str, prefix: str, client: _S3Client) -> None:
        super().__init__(bucket, client)
        self.root = root
        self._prefix = prefix
        self._s3 = client

    def holds(self, artifact_id: str) -> bool:
        from botocore.exceptions import ClientError

        with self._reaching():
            try:
                self._s3.head_object(Bucket=self.bucket, Key=self._prefix + artifact_id)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return False
                raise
            return True

    def open_reader(self, artifact_id: str) -> BinaryIO:
        with self._reaching(), closing(super().open_reader(self._prefix + artifact_id)) as body:
            # read here, where a connection that breaks off is told as what it is
            return io.BytesIO(body.read())

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        with self._reaching():
            super().write(self._prefix + artifact_id, content_body)

    def remove(self, artifact_id: str) -> None:
        with self._reaching():
            super().remove(self._prefix + artifact_id)

    def mark(self, artifact_id: str, owner: str) -> None:
        with self._reaching():
            self._s3.put_object(Bucket=self.bucket, Key=self._marks(artifact_id) + owner, Body=b"")

    def unmark(self, artifact_id: str, owner: str) -> None:
        with self._reaching():
            self._s3.delete_object(Bucket=self.bucket, Key=self._marks(artifact_id) + owner)

    def owners(self, artifact_id: str) -> frozenset[str]:
        marks = self._marks(artifact_id)
        with self._reaching():
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=marks
            )
            return frozenset(
                found["Key"].removeprefix(marks)
                for page in pages
                for found in page.get("Contents", ())
            )

    def holdings(self) -> Holdings:
        with self._reaching():
            # By the delimiter a folder of marks is one entry, however many there are.
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._prefix, Delimiter="/"
            )
            counted = list(islice(pages, _S3_PAGES + 1))
            sizes = [
                found["Size"]
                for page in counted[:_S3_PAGES]
                for found in page.get("Contents", ())
                if ARTIFACT_ID.fullmatch(found["Key"].removeprefix(self._prefix))
            ]
            return Holdings(len(sizes), sum(sizes), is_all=len(counted) <= _S3_PAGES)

    def _marks(self, artifact_id: str) -> str:
        return f"{self._prefix}{artifact_id}{_OWNERS}/"

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise ArtifactsUnavailable(self.root, str(error)) from error
        # of an upload: it names a buffer in memory; what it was raised from says why
        except Boto3Error as error:
            raise ArtifactsUnavailable(self.root, str(error.__context__ or error)) from error


def _open_bucket(root: str) -> _Bucket:
    bucket, prefix, endpoint_url = _parse(root)
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise ArtifactRootError.no_boto3() from None
    shown = f"s3://{bucket}/{prefix}".rstrip("/")
    try:
        # its own session: boto3's common one is not for several threads
        client: _S3Client = boto3.Session().client(
            "s3",
            endpoint_url=endpoint_url,
            config=Config(
                connect_timeout=_S3_CONNECT_TIMEOUT_SECONDS,
                read_timeout=_S3_READ_TIMEOUT_SECONDS,
                retries={"mode": "standard", "total_max_attempts": _S3_ATTEMPTS},
                # Not every S3-compatible store knows the checksums that boto3 adds; the artifact's
                # id is one.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
    except BotoCoreError as error:
        raise ArtifactsUnavailable(shown, str(error)) from error
    except ValueError:  # a host that cannot be one
        raise ArtifactRootError.unreadable() from None
    return _Bucket(shown, bucket, prefix, client)


def _parse(root: str) -> tuple[str, str, str | None]:
    """Bucket, prefix (which ends with a slash unless it is empty) and the endpoint's URL."""
    try:
        parsed = urlsplit(root)
        options = parse_qs(parsed.query, keep_blank_values=True)
        (endpoint_url,) = options.pop("endpoint_url", [None])
        readable = (
            parsed.scheme == "s3"
            and _BUCKET.fullmatch(parsed.netloc)
            and not (options or parsed.fragment)
        )
        if not readable or (endpoint_url is not None and not _is_endpoint(endpoint_url)):
            raise ArtifactRootError.unreadable()
    except ValueError:  # of urllib, for what is no URL
        raise ArtifactRootError.unreadable() from None
    prefix = parsed.path.strip("/")
    return parsed.netloc, f"{prefix}/" if prefix else "", endpoint_url


def _is_endpoint(url: str) -> bool:
    """Whether it is the URL of a host, without credentials; raises ValueError for a port that is no
    number.
    """
    parsed = urlsplit(url)
    return (
        parsed.scheme in ("http", "https")
        and bool(parsed.hostname)
        and parsed.username is None
        and parsed.port != 0
    )
