"""The dashboard shows the artifacts of a trial, asked for over HTTP as a browser asks."""

import json
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages import get_storage

from search.dashboard import serve
from search.pictures import confusion_matrix_png
from storage.artifacts import ArtifactStore, StoredArtifact, attributes, open_artifact_store, put

FILES = {
    "confusion-matrix.png": confusion_matrix_png(np.eye(2, dtype=np.int64), ("cat", "dog")),
    "model.safetensors": b"<html>",
}


@dataclass(frozen=True)
class Served:
    """A dashboard that runs, and the one trial that it shows."""

    address: str
    study_id: int
    trial_id: int
    store: ArtifactStore
    stored: tuple[StoredArtifact, ...]

    def get(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and content."""
        try:
            with urllib.request.urlopen(f"{self.address}/{path}", timeout=60) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["Content-Type"], error.read()

    def artifact(self, artifact_id: str) -> tuple[int, str, bytes]:
        """The answer at the artifact's own address."""
        return self.get(f"artifacts/{self.study_id}/{self.trial_id}/{artifact_id}")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    storage = get_storage(f"sqlite:///{tmp_path}/a.db")
    study = optuna.create_study(storage=storage)
    trial = study.ask()
    study_id = storage.get_study_id_from_name(study.study_name)
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
    store = open_artifact_store(str(tmp_path / "artifacts"))
    stored = put(store, FILES)
    for key, text in attributes(stored).items():
        storage.set_trial_system_attr(trial_id, key, text)
    study.tell(trial, 1.0)
    addresses: queue.Queue[str] = queue.Queue()
    threading.Thread(target=serve, args=(storage, "127.0.0.1", 0, addresses.put, store), daemon=True).start()
    address = addresses.get(timeout=60).removesuffix("/dashboard")
    yield Served(address, study_id, trial_id, store, stored)
    storage.remove_session()


def test_a_trial_lists_its_artifacts_and_they_are_served_as_what_they_are(served: Served) -> None:
    _, _, page = served.get(f"api/studies/{served.study_id}?after=0")
    listed = json.loads(page)["trials"][0]["artifacts"]
    assert {(meta["filename"], meta["artifact_id"]) for meta in listed} == {
        (artifact.file_name, artifact.artifact_id) for artifact in served.stored
    }
    picture, model = served.stored
    assert served.artifact(picture.artifact_id) == (200, "image/png", FILES["confusion-matrix.png"])
    assert served.artifact(model.artifact_id) == (200, "application/octet-stream", FILES["model.safetensors"])


def test_an_artifact_that_is_lost_is_told_in_a_line(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    lost = served.stored[0].artifact_id
    served.store.remove(lost)
    told = f"artifact {lost} is not in {served.store.root}\n"
    assert served.artifact(lost) == (404, "text/plain; charset=utf-8", told.encode())
    assert capfd.readouterr().err == ""


def test_a_store_out_of_reach_is_told_in_a_line(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    root = Path(served.store.root)
    root.rename(root.with_name("elsewhere"))
    root.touch()
    told = f"artifacts in {root} cannot be stored or read: Not a directory\n"
    assert served.artifact(served.stored[0].artifact_id) == (503, "text/plain; charset=utf-8", told.encode())
    assert capfd.readouterr().err == ""
