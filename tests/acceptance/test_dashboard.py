"""The dashboard shows the studies and changes nothing."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import hypersearch


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "s.toml").write_text(
        '[study]\nname = "s"\ntrials = 3\n[data]\ndataset = "synthetic"\n[training]\nepochs = 2\n'
    )
    url = f"sqlite:///{tmp_path}/a.db"
    assert (
        hypersearch.run(hypersearch.load_spec(tmp_path / "s.toml"), storage=url).record.finished
        == 3
    )
    command = [sys.executable, "-m", "hypersearch", "dashboard", "--port", "0", "--storage", url]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield (
                process.stderr.readline().split(" on ")[1].split(",")[0].removesuffix("/dashboard")
            )
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 130
        finally:
            process.kill()


def ask(address: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(address, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_the_dashboard_shows_the_studies_and_refuses_to_change_them(address: str) -> None:
    code, page = ask(f"{address}/api/studies")
    studies = json.loads(page)["study_summaries"]
    assert (code, [study["study_name"] for study in studies]) == (200, ["s"])
    assert ask(f"{address}/dashboard")[0] == 200
    assert ask(f"{address}/api/studies/{studies[0]['study_id']}", "DELETE")[0] == 405
    assert ask(f"{address}/api/studies", Host="evil.example")[0] == 403
    assert len(json.loads(ask(f"{address}/api/studies")[1])["study_summaries"]) == 1


def test_a_port_that_is_taken_is_one_line(address: str, tmp_path: Path) -> None:
    port = address.rpartition(":")[2]
    second = subprocess.run(
        [
            sys.executable,
            "-m",
            "hypersearch",
            "dashboard",
            "--port",
            port,
            "--storage",
            f"sqlite:///{tmp_path}/a.db",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (second.returncode, second.stdout, second.stderr) == (
        3,
        "",
        (
            f"hypersearch: the dashboard cannot listen on 127.0.0.1:{port}: another program listens"
            " there: name another --port, or 0 for a free one\n"
        ),
    )
