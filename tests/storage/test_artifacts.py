"""Artifacts are kept by content, whole, in a folder or a bucket, and are Optuna's: real files, a
real S3 endpoint.
"""

import errno
import hashlib
import io
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import optuna
import pytest
from optuna.artifacts import download_artifact, get_all_artifact_meta, upload_artifact
from optuna.storages import InMemoryStorage

from storage import artifact_bucket, artifacts
from storage.artifact_store import ArtifactStore
from storage.artifacts import (
    StoredArtifact,
    attributes,
    open_artifact_store,
    put,
    read,
)
from storage.errors import ArtifactDamaged, ArtifactRootError, ArtifactsUnavailable

if TYPE_CHECKING:
    from botocore.client import BaseClient

FILES = {
    "model.safetensors": bytes(range(256)) * 40,
    "learning-curve.png": b"\x89PNG",
    "learning-curve.csv": b"epoch\n1\n",
    "empty.csv": b"",
    "page.html": b"<script>",
}
STORED = tuple(
    StoredArtifact(hashlib.sha256(content).hexdigest(), name, mime_type)
    for (name, content), mime_type in zip(
        FILES.items(),
        (
            "application/octet-stream",
            "image/png",
            "text/csv",
            "text/csv",
            "application/octet-stream",
        ),
        strict=True,
    )
)
MODEL = STORED[0].artifact_id


def keys(client: "BaseClient") -> list[str]:
    return [
        entry["Key"] for entry in client.list_objects_v2(Bucket="team-bucket").get("Contents", [])
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "not yet" / "artifacts"


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, folder: Path) -> ArtifactStore:
    return open_artifact_store(
        str(folder) if request.param == "folder" else request.getfixturevalue("bucket")
    )


def test_what_is_put_is_read_by_its_content(store: ArtifactStore) -> None:
    assert not any(store.holds(artifact.artifact_id) for artifact in STORED)
    assert put(store, FILES) == STORED
    assert {artifact.file_name: read(store, artifact.artifact_id) for artifact in STORED} == FILES


def test_what_is_there_is_not_written_again(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, {"old name": FILES["model.safetensors"]})
    written: list[str] = []
    write = store.write

    def counted(artifact_id: str, content_body: BinaryIO) -> None:
        written.append(artifact_id)
        write(artifact_id, content_body)

    monkeypatch.setattr(store, "write", counted)
    assert put(store, FILES) == STORED
    assert written == [artifact.artifact_id for artifact in STORED[1:]]


def test_an_artifact_that_was_changed_or_lost_is_told(store: ArtifactStore) -> None:
    put(store, FILES)
    store.write(MODEL, io.BytesIO(b"something else"))
    with pytest.raises(ArtifactDamaged) as damaged:
        read(store, MODEL)
    assert (
        str(damaged.value)
        == f"artifact {MODEL} in {store.root} is damaged, its SHA-256 is another one: "
        "delete it there and put it there again from a copy"
    )
    store.remove(MODEL)
    assert put(store, FILES) == STORED
    assert read(store, MODEL) == FILES["model.safetensors"]
    store.remove(MODEL)
    with pytest.raises(ArtifactsUnavailable) as lost:
        read(store, MODEL)
    assert (
        str(lost.value)
        == f"artifacts in {store.root} cannot be stored or read: artifact {MODEL} is not there"
    )


def test_attributes_make_files_the_artifacts_of_a_trial_as_optunas_upload_does(
    store: ArtifactStore, tmp_path: Path
) -> None:
    database = InMemoryStorage()
    study = optuna.create_study(storage=database)
    uploaded, ours = study.ask(), study.ask()
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
        # Optuna would guess text/html, which the dashboard would show inline.
        mime_type = artifacts.DEFAULT_MIME_TYPE if name == "page.html" else None
        upload_artifact(
            artifact_store=store,
            file_path=str(tmp_path / name),
            study_or_trial=uploaded,
            mimetype=mime_type,
        )
    for key, text in attributes(put(store, FILES)).items():
        database.set_trial_system_attr(ours._trial_id, key, text)

    by_optuna = get_all_artifact_meta(uploaded)
    texts = database.get_trial_system_attrs(uploaded._trial_id).values()
    for meta, artifact in zip(by_optuna, STORED, strict=True):
        texts = [text.replace(meta.artifact_id, artifact.artifact_id) for text in texts]
        meta.artifact_id = artifact.artifact_id
    assert get_all_artifact_meta(ours) == by_optuna
    assert list(database.get_trial_system_attrs(ours._trial_id).values()) == texts

    download_artifact(artifact_store=store, file_path=str(tmp_path / "copy"), artifact_id=MODEL)
    assert (tmp_path / "copy").read_bytes() == FILES["model.safetensors"]


def test_a_write_that_breaks_off_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_artifact_store(str(folder))

    def full(descriptor: int) -> None:
        assert not store.holds(MODEL)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArtifactsUnavailable) as told:
        put(store, FILES)
    assert (
        str(told.value)
        == f"artifacts in {folder} cannot be stored or read: No space left on device"
    )
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = open_artifact_store(f"{tmp_path}/file/artifacts")
    calls: list[Callable[[], object]] = [lambda: put(store, FILES), lambda: read(store, MODEL)]
    for call in calls:
        with pytest.raises(ArtifactsUnavailable) as told:
            call()
        assert (
            str(told.value)
            == f"artifacts in {tmp_path}/file/artifacts cannot be stored or read: Not a directory"
        )


def test_objects_in_a_bucket_stand_under_the_prefix(
    bucket: str, endpoint: str, client: "BaseClient"
) -> None:
    put(open_artifact_store(bucket), FILES)
    put(
        open_artifact_store(f"s3://team-bucket?endpoint_url={endpoint}"),
        {"model": FILES["model.safetensors"]},
    )
    assert sorted(keys(client)) == sorted(
        [MODEL, *(f"images/search/{artifact.artifact_id}" for artifact in STORED)]
    )


def test_a_bucket_that_is_not_there_is_told(bucket: str, endpoint: str) -> None:
    store = open_artifact_store(f"s3://other/a?endpoint_url={endpoint}")
    with pytest.raises(ArtifactsUnavailable) as told:
        put(store, FILES)
    assert (
        str(told.value)
        == "artifacts in s3://other/a cannot be stored or read: An error occurred (NoSuchBucket)"
        " when calling the PutObject operation: The specified bucket does not exist"
    )


def test_a_bucket_out_of_reach_is_told_in_one_line_without_secrets(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact_bucket, "_S3_ATTEMPTS", 1)
    with socket.socket() as free:
        # The socket is bound and does not listen: a connection is refused.
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
        store = open_artifact_store(f"s3://team-bucket/a?endpoint_url={endpoint}")
        calls: list[Callable[[], object]] = [lambda: put(store, FILES), lambda: read(store, MODEL)]
        for call in calls:
            with pytest.raises(ArtifactsUnavailable) as told:
                call()
            assert str(told.value) == (
                "artifacts in s3://team-bucket/a cannot be stored or read: "
                "Could not connect to the endpoint URL:"
                f' "{endpoint}/team-bucket/a/{STORED[0].artifact_id}"'
            )


def test_a_bucket_without_credentials_is_told(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ArtifactsUnavailable) as told:
        put(open_artifact_store(bucket), FILES)
    assert (
        str(told.value)
        == "artifacts in s3://team-bucket/images/search cannot be stored or read: Unable to locate"
        " credentials"
    )


@pytest.mark.parametrize(
    "root",
    [
        "s3://",
        "s3:///prefix",
        "gs://bucket",
        "https://bucket",
        "s3://key:s3cret@bucket/prefix",
        "s3://bucket name/prefix",
        "s3://[bucket/prefix",
        "s3://bucket/prefix?region=eu",
        "s3://bucket/prefix?endpoint_url=",
        "s3://bucket/prefix?endpoint_url=host:9000",
        "s3://bucket/prefix?endpoint_url=http://key:s3cret@host:9000",
        "s3://bucket/prefix?endpoint_url=http://host:port",
        "s3://bucket/prefix?endpoint_url=http://a&endpoint_url=http://b",
        "s3://bucket/prefix#fragment",
    ],
)
def test_a_root_that_cannot_be_read_is_told_in_one_line_without_secrets(root: str) -> None:
    with pytest.raises(ArtifactRootError) as told:
        open_artifact_store(root)
    assert (
        str(told.value) == "the artifact root cannot be read: write a folder, s3://bucket/prefix or"
        " s3://bucket/prefix?endpoint_url=https://host:9000, without credentials, which boto3"
        " finds in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or ~/.aws"
    )


def test_without_boto3_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ArtifactRootError) as told:
        open_artifact_store("s3://bucket/prefix")
    assert str(told.value) == "artifacts in a bucket need boto3: pip install 'hypersearch[s3]'"


def test_attributes_are_text_that_any_database_takes() -> None:
    (text,) = attributes([StoredArtifact("0" * 64, "wrongly-classified.png", "image/png")]).values()
    assert json.loads(text) == {
        "artifact_id": "0" * 64,
        "filename": "wrongly-classified.png",
        "mimetype": "image/png",
        "encoding": None,
    }
