"""The dashboard listens on this machine alone and shows the artifacts of a trial; asked over HTTP
as a browser asks.
"""

import errno
import json
import queue
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages import BaseStorage, get_storage

from search.dashboard import CannotListen, NotLoopback, looking_only, refresh_artifacts, serve
from search.worker.pictures import confusion_matrix_png
from storage.artifact_store import ArtifactStore
from storage.artifacts import StoredArtifact, attributes, open_artifact_store, put
from storage.engine import open_database, open_for_work
from storage.schema import optuna_system_attributes
from tests.conftest import missing

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
    open_for_work(f"sqlite:///{tmp_path}/a.db")[0].engine.dispose()
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
    with open_database(f"sqlite:///{tmp_path}/a.db") as database:
        refresh = partial(refresh_artifacts, database, storage)
        arguments = (storage, "127.0.0.1", 0, addresses.put, store, refresh)
        threading.Thread(target=serve, args=arguments, daemon=True).start()
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
    assert served.artifact(model.artifact_id) == (
        200,
        "application/octet-stream",
        FILES["model.safetensors"],
    )


def test_pictures_that_are_drawn_after_a_trial_was_shown_are_shown_too(
    served: Served, tmp_path: Path
) -> None:
    def listed() -> list[str]:
        _, _, page = served.get(f"api/studies/{served.study_id}?after=0")
        return sorted(meta["filename"] for meta in json.loads(page)["trials"][0]["artifacts"])

    assert listed() == sorted(FILES)
    picture = {"learning-curve.png": b"drawn later"}
    ((key, text),) = attributes(put(served.store, picture)).items()
    row = {"trial_id": served.trial_id, "key": key, "value_json": json.dumps(text)}
    with (
        open_database(f"sqlite:///{tmp_path}/a.db") as database,
        database.transactions.write() as connection,
    ):
        connection.execute(optuna_system_attributes.insert(), row)
    assert listed() == sorted([*FILES, *picture])
    assert served.artifact(key.removeprefix("artifacts:")) == (200, "image/png", b"drawn later")
    assert served.get("api/studies/99?after=0")[0] == 404


def test_an_artifact_that_is_lost_is_told_in_a_line(
    served: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    lost = served.stored[0].artifact_id
    served.store.remove(lost)
    told = f"artifact {lost} is not in {served.store.root}\n"
    assert served.artifact(lost) == (404, "text/plain; charset=utf-8", told.encode())
    assert capfd.readouterr().err == ""


def test_a_store_out_of_reach_is_told_in_a_line(
    served: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    root = Path(served.store.root)
    root.rename(root.with_name("elsewhere"))
    root.touch()
    told = f"artifacts in {root} cannot be stored or read: Not a directory\n"
    assert served.artifact(served.stored[0].artifact_id) == (
        503,
        "text/plain; charset=utf-8",
        told.encode(),
    )
    assert capfd.readouterr().err == ""


# --- where it listens


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[BaseStorage]:
    made = get_storage(f"sqlite:///{tmp_path}/a.db")
    yield made
    made.remove_session()


def address_of(storage: BaseStorage, host: str) -> str:
    """Where a dashboard that was told this host says that it is."""
    addresses: queue.Queue[str] = queue.Queue()
    threading.Thread(target=serve, args=(storage, host, 0, addresses.put), daemon=True).start()
    return addresses.get(timeout=60)


def answers(host: str, port: str) -> bool:
    with urllib.request.urlopen(f"http://{host}:{port}/dashboard", timeout=60) as answer:
        return bool(answer.status == 200)


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **named: found)


@pytest.fixture
def ipv6() -> None:
    try:
        with closing(socket.socket(socket.AF_INET6)) as trial:
            trial.bind(("::1", 0))
    except OSError:
        missing("IPv6", False)


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_it_is_served_over_ipv6_at_an_address_in_brackets(
    host: str, storage: BaseStorage, ipv6: None
) -> None:
    address = address_of(storage, host)
    port = address.removeprefix("http://[::1]:").removesuffix("/dashboard")
    assert port.isdecimal()
    assert answers("[::1]", port)


def test_a_name_of_several_addresses_is_served_on_all(
    storage: BaseStorage, monkeypatch: pytest.MonkeyPatch, ipv6: None
) -> None:
    with monkeypatch.context() as patch:
        resolves_to(patch, "::1", "127.0.0.1")
        address = address_of(storage, "localhost")
    port = address.removeprefix("http://localhost:").removesuffix("/dashboard")
    assert answers("[::1]", port)
    assert answers("127.0.0.1", port)


def test_an_address_of_a_name_that_this_machine_lacks_is_done_without(
    storage: BaseStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind = socket.socket.bind

    def bind_ipv4(listening: socket.socket, address: tuple[str, int]) -> None:
        if ":" in address[0]:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        bind(listening, address)

    with monkeypatch.context() as patch:
        resolves_to(patch, "::1", "127.0.0.1")
        patch.setattr(socket.socket, "bind", bind_ipv4)
        address = address_of(storage, "LocalHost")
        resolves_to(patch, "::1")
        with pytest.raises(CannotListen) as alone:
            serve(storage, "::1", 0, pytest.fail)
    assert answers(
        "127.0.0.1", address.removeprefix("http://LocalHost:").removesuffix("/dashboard")
    )
    assert (
        str(alone.value)
        == "the dashboard cannot listen on [::1]:0: this machine has no such address: name another"
        " --host, as 127.0.0.1"
    )


def test_a_port_that_is_taken_is_told_with_the_mend(storage: BaseStorage) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen) as told:
            serve(storage, "127.0.0.1", port, pytest.fail)
    assert (
        str(told.value)
        == f"the dashboard cannot listen on 127.0.0.1:{port}: another program listens there: "
        "name another --port, or 0 for a free one"
    )


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied"),
            "this user may not listen on that port: name one from 1024 on, or 0 for a free one",
        ),
        (
            OSError(errno.EAFNOSUPPORT, "x"),
            "this machine has no such address: name another --host, as 127.0.0.1",
        ),
        (
            socket.gaierror(-2, "not known"),
            "this machine has no such address: name another --host, as 127.0.0.1",
        ),
        (
            OSError(errno.ENOBUFS, "No buffer space"),
            "No buffer space: name another --host or --port",
        ),
    ],
)
def test_what_a_machine_does_not_let_it_do_has_its_mend(error: OSError, why: str) -> None:
    assert str(CannotListen("::1", 80, error)) == f"the dashboard cannot listen on [::1]:80: {why}"


def test_a_name_that_leads_elsewhere_is_no_loopback(
    storage: BaseStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolves_to(monkeypatch, "127.0.0.1", "192.0.2.1")
    for host in ("localhost", "0.0.0.0", "::", "example.org", ""):
        with pytest.raises(NotLoopback):
            serve(storage, host, 0, pytest.fail)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("[::1]:80", "200 OK"),
        ("[::1]", "200 OK"),
        ("127.0.0.1", "200 OK"),
        ("LOCALHOST:8080", "200 OK"),
        ("[::1", "403 Forbidden"),
        ("[2001:db8::1]:80", "403 Forbidden"),
        ("evil.example:8080", "403 Forbidden"),
        ("", "403 Forbidden"),
    ],
)
def test_pages_are_for_whoever_asks_by_a_loopback_name(host: str, status: str) -> None:
    given: list[str] = []

    def start_response(
        status: str, headers: object, error: object = None
    ) -> Callable[[bytes], object]:
        given.append(status)
        return given.append

    def app(environ: dict[str, str], start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [])
        return []

    looking_only(app)({"HTTP_HOST": host, "REQUEST_METHOD": "GET"}, start_response)
    assert given == [status]
