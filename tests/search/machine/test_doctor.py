"""The doctor says of each part that it is good, or how to mend it, and creates nothing."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from lab.servers import Server
from search.machine.devices import processor_finding
from search.machine.findings import Finding, FolderFacts, Package, StorageFacts, worst_exit_code
from search.machine.places import artifacts_finding, folder_finding
from search.machine.reachable_storage import storage_finding
from search.machine.software import package_findings
from search.report.doctor_output import doctor_document, finding_text
from search.report.documents import to_json
from storage import schema
from storage.artifact_store import Holdings
from storage.artifacts import open_artifact_store, put
from storage.engine import open_for_work


def test_a_database_that_answers_is_measured(url: str) -> None:
    open_for_work(url)[0].engine.dispose()
    finding = storage_finding(url)
    (facts,) = finding.facts
    assert isinstance(facts, StorageFacts)
    assert (finding.is_good, facts.schema) == (True, schema.HEAD)
    assert abs(facts.ahead_seconds) < 60
    assert facts.transaction_seconds > 0
    assert f"schema {schema.HEAD}, a short transaction takes" in finding.found


def test_clocks_that_are_apart_are_not_good(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    open_for_work(url)[0].engine.dispose()
    finding = storage_finding(url, wall=lambda: time.time() - 3600)
    assert (finding.mend, finding.exit_code) == ("set both clocks (NTP): recorded times mislead", 2)
    assert "its clock is 3600.0 s ahead of this machine's" in finding.found


def test_a_database_that_is_not_there_yet_is_good_and_stays_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    expected = f"{url}: nothing there yet; 'hypersearch run' or 'create' makes it"
    assert storage_finding(url) == Finding("storage", expected)
    assert list(tmp_path.iterdir()) == []


def test_a_server_without_tables_is_not_there_yet(postgresql: Server) -> None:
    finding = storage_finding(postgresql.database("doctors_empty"))
    assert (finding.is_good, "nothing there yet" in finding.found) == (True, True)


@pytest.mark.parametrize(
    ("url", "code", "mend"),
    [
        ("nonsense", 2, "storage URL 'nonsense' cannot be read"),
        (
            "sqlite:////nowhere/at/all.db",
            3,
            "the folder /nowhere/at of the database does not exist",
        ),
        ("postgresql://me:secret@127.0.0.1:1/x", 3, "see that the server runs"),
    ],
)
def test_a_storage_out_of_reach_has_its_mend(url: str, code: int, mend: str) -> None:
    finding = storage_finding(url)
    assert (finding.part, finding.found, finding.exit_code) == ("storage", "not usable", code)
    assert mend in (finding.mend or "")
    assert "secret" not in finding_text(finding)


def test_a_database_of_a_newer_version_has_its_mend(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    database, _ = open_for_work(url)
    with database, database.engine.begin() as connection:
        connection.execute(text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))
    finding = storage_finding(url)
    assert (
        finding_text(finding)
        == "wrong  storage: not usable: the database has schema 9999, newer than this program: pip"
        " install -U hypersearch"
    )
    assert finding.exit_code == 3


def test_a_folder_is_looked_into_and_not_made(tmp_path: Path) -> None:
    (tmp_path / "data" / "MNIST").mkdir(parents=True)
    (tmp_path / "data" / ".aside").mkdir()
    found = folder_finding("data folder", tmp_path / "data")
    (facts,) = found.facts
    assert isinstance(facts, FolderFacts)
    assert (found.is_good, facts.is_there, facts.holds) == (True, True, ("MNIST",))
    assert facts.free_bytes > 0
    later = folder_finding("cache", tmp_path / "not" / "there")
    assert later.is_good
    assert "is made when it is needed" in later.found
    (tmp_path / "file").write_text("")
    wrong = folder_finding("cache", tmp_path / "file" / "below")
    assert (
        finding_text(wrong)
        == f"wrong  cache: {tmp_path}/file is no folder: mend that, or name another cache"
    )
    assert wrong.exit_code == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "file"]


def test_an_artifact_root_holds_its_artifacts_and_neither_marks_nor_checkpoints_are_counted(
    tmp_path: Path,
) -> None:
    root = tmp_path / "artifacts"
    store = open_artifact_store(str(root))
    for files in ({}, {"model": b"m" * 1500, "curve": b"c"}):
        for artifact in put(store, files):
            store.mark(artifact.artifact_id, "a" * 32)
        (root / "checkpoints" / ("s" * 32)).mkdir(parents=True, exist_ok=True)
        (root / "letter.txt").write_text("to a friend")
        found = artifacts_finding(str(root))
        assert found.is_good
        what, holdings = (
            ("2 artifacts (1.5 kB)", Holdings(2, 1501))
            if files
            else ("nothing yet", Holdings(0, 0))
        )
        assert found.found.startswith(f"{root} holds {what}, ")
        assert found.facts[1:] == (holdings,)


def test_an_artifact_root_that_holds_files_is_not_said_to_hold_nothing(tmp_path: Path) -> None:
    put(open_artifact_store(str(tmp_path)), {"model": b"m" * 1500, "curve": b"c"})
    assert artifacts_finding(str(tmp_path)).found.startswith(
        f"{tmp_path} holds 2 artifacts (1.5 kB), "
    )


def test_a_bucket_holds_its_artifacts(bucket: str) -> None:
    store = open_artifact_store(bucket)
    assert artifacts_finding(bucket) == Finding(
        "artifact root", f"{store.root} answers and holds nothing yet", facts=(Holdings(0, 0),)
    )
    for artifact in put(store, {"model": b"weights", "curve": b"c"}):
        for owner in ("a" * 32, "b" * 32):
            store.mark(artifact.artifact_id, owner)
    put(open_artifact_store(bucket.replace("/search?", "/search/deeper?")), {"model": b"another's"})
    assert artifacts_finding(bucket) == Finding(
        "artifact root",
        f"{store.root} answers and holds 2 artifacts (8 bytes)",
        facts=(Holdings(2, 8),),
    )


def test_a_data_folder_holds_data_sets_whether_they_are_folders_or_files(tmp_path: Path) -> None:
    for file in (
        "usps.bz2",
        "usps.t.bz2",
        "train_32x32.mat",
        "cifar-100-python/train",
        "cifar-100-python/test",
        "cifar-100-python/meta",
        "MNIST/raw/train-images-idx3-ubyte",
        "birds/train/robin/1.png",
        ".svhn.download/test_32x32.mat",
        "notes.txt",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    found = folder_finding("data folder", tmp_path)
    assert found.found.startswith(
        f"{tmp_path} holds birds, cifar100, mnist in part, svhn in part, usps, "
    )


def test_a_cache_holds_what_is_decoded(tmp_path: Path) -> None:
    for name in ("digits.native.0123456789abcdef", "my.birds-1f.28px.0123456789abcdef"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "meta.json").touch()
    (tmp_path / "digits.native.aside").mkdir()
    (tmp_path / "digits.native.lock").touch()
    found = folder_finding("cache", tmp_path)
    assert found.found.startswith(f"{tmp_path} holds digits, my.birds-1f at 28px, ")


def test_an_artifact_root_that_cannot_be_used_has_its_mend(s3_parts: None) -> None:
    assert artifacts_finding("ftp://bucket").exit_code == 2
    unreachable = artifacts_finding("s3://bucket?endpoint_url=http://127.0.0.1:1")
    assert unreachable.exit_code == 3
    assert (unreachable.mend or "").endswith("see the bucket, its endpoint and credentials")


def test_the_packages_here_are_those_that_are_required() -> None:
    packages, extras, pytorch = package_findings()
    assert [finding.is_good for finding in (packages, extras, pytorch)] == [True] * 3
    required = {facts.name: facts for facts in packages.facts if isinstance(facts, Package)}
    assert required["optuna"].wanted == ">=5.0"
    assert required["optuna"].version is not None
    assert "pytest" not in required
    assert {facts.name: facts.extra for facts in extras.facts if isinstance(facts, Package)}[
        "pymysql"
    ] == "mysql"
    assert pytorch.found.startswith("loads: torch ")


def test_what_is_missing_or_too_old_is_named_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = ["optuna>=99", "not-a-package>=1", 'psycopg>=3; extra == "postgresql"', "rich>=1"]
    monkeypatch.setattr("search.machine.software.requires", lambda name: wanted)
    packages = next(package_findings())
    assert "not-a-package is not there" in packages.found
    assert (packages.mend, packages.exit_code) == ("pip install 'optuna>=99' 'not-a-package>=1'", 2)


def test_the_worst_finding_decides_the_exit_code() -> None:
    good, bad, away = Finding("a", "b"), Finding("a", "b", "mend", 2), Finding("a", "b", "mend", 3)
    assert [worst_exit_code(found) for found in ([], [good], [good, bad], [away, bad])] == [
        0,
        0,
        2,
        3,
    ]


def test_the_document_holds_every_fact(tmp_path: Path) -> None:
    finding = folder_finding("data folder", tmp_path)
    document = json.loads(to_json(doctor_document([finding, Finding("a", "b", "mend", 2)])))
    assert document["good"] is False
    assert [each["part"] for each in document["findings"]] == ["data folder", "a"]
    assert document["findings"][0]["facts"][0]["path"] == str(tmp_path)
    assert document["findings"][1] == {
        "part": "a",
        "good": False,
        "found": "b",
        "mend": "mend",
        "facts": [],
    }


def test_a_file_that_is_no_database_is_not_good(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE letters (text)")
    assert storage_finding(f"sqlite:///{tmp_path}/a.db").exit_code == 3


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "OpenMP waits as it comes"),
        ({"OMP_WAIT_POLICY": ""}, "OpenMP waits as it comes"),
        ({"OMP_WAIT_POLICY": "passive"}, "OpenMP waits as OMP_WAIT_POLICY=passive says"),
        (
            {"GOMP_SPINCOUNT": "1000", "OMP_WAIT_POLICY": "active"},
            "OpenMP waits as OMP_WAIT_POLICY=active and GOMP_SPINCOUNT=1000 say",
        ),
    ],
)
def test_how_threads_wait_for_each_other_is_told_as_somebody_has_set_it(
    environment: dict[str, str], said: str
) -> None:
    assert processor_finding(environment).found.endswith(f" memory available; {said}")
