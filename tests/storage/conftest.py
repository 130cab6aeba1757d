"""An S3 endpoint for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from botocore.client import BaseClient


@pytest.fixture(scope="session")
def endpoint(s3_parts: None) -> Iterator[str]:
    """The URL of an S3 endpoint with nothing in it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def client(endpoint: str) -> "BaseClient":
    """The test's own hand on that endpoint."""
    from boto3 import Session

    session = Session(aws_access_key_id="dummy", aws_secret_access_key="s3cret")
    return session.client("s3", endpoint_url=endpoint)


@pytest.fixture
def bucket(endpoint: str, client: "BaseClient", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The root of an artifact store in a bucket of its own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    client.create_bucket(Bucket="team-bucket")
    yield f"s3://team-bucket/images/search?endpoint_url={endpoint}"
    for entry in client.list_objects_v2(Bucket="team-bucket").get("Contents", []):
        client.delete_object(Bucket="team-bucket", Key=entry["Key"])
    client.delete_bucket(Bucket="team-bucket")
