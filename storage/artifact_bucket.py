"""Artifacts in an S3-compatible bucket."""

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from typing import BinaryIO, Literal, Protocol, TypedDict
from urllib.parse import parse_qs, urlsplit

from optuna.artifacts import Boto3ArtifactStore

from storage.artifact_store import ARTIFACT_ID, OWNERS, Holdings
from storage.errors import ArtifactRootError, ArtifactsUnavailable

# botocore checks the name of a bucket by this pattern.
_BUCKET = re.compile(r"[a-zA-Z0-9.\-_]{1,255}")
# Transient failures are tried again, each after a random wait of at most 1, 2, ... s (botocore's
# "standard" mode). Writing again is safe: the same content goes to the same key.
_S3_ATTEMPTS = 3
# What a bucket holds is counted by so many pages of at most 1,000 names.
_S3_PAGES = 10
_S3_CONNECT_TIMEOUT_SECONDS = 5
_S3_READ_TIMEOUT_SECONDS = 30


class _S3Client(Protocol):
    # These methods of boto3's client, which has no types, are called here.
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


class BucketStore(Boto3ArtifactStore):
    """Optuna's store with a prefix before each key."""

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
            # The body is read here, where a connection that breaks off is told as what it is.
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
        return f"{self._prefix}{artifact_id}{OWNERS}/"

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise ArtifactsUnavailable(self.root, str(error)) from error
        # The text of an upload's error names a buffer in memory; what it was raised from says why.
        except Boto3Error as error:
            raise ArtifactsUnavailable(self.root, str(error.__context__ or error)) from error


def open_bucket(root: str) -> BucketStore:
    """The store at s3://bucket/prefix; see storage.artifacts. Raises ArtifactRootError,
    ArtifactsUnavailable.
    """
    bucket, prefix, endpoint_url = _parse(root)
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise ArtifactRootError.no_boto3() from None
    shown = f"s3://{bucket}/{prefix}".rstrip("/")
    try:
        # The store has a session of its own: boto3's common one is not for several threads.
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
    except ValueError:
        # The URL's host cannot be one.
        raise ArtifactRootError.unreadable() from None
    return BucketStore(shown, bucket, prefix, client)


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
    except ValueError:
        # urllib raises it for what is no URL.
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
