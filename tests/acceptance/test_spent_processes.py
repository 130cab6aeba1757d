"""Processes that can train no more, as after some errors of a GPU: no trial is to blame, and others
take their place.

A stand-in loses the device of a process in its first trial, as often as there are tickets for it.
"""

import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import hypersearch
from objectives import synthetic
from objectives.errors import ProcessSpent
from objectives.hyperparameters import Hyperparameters
from objectives.synthetic import SyntheticCurve
from search.spec.document import load_document
from search.spec.reading import parse_spec
from search.spec.request import Request
from search.studies.joining import create_or_join
from storage.records import TrialRecord

SPEC = """
[study]
name = "s"
trials = 3
pruner = "none"
sampler = "random"
[data]
dataset = "synthetic"
"""
# Python runs a module of that name in each process that it starts.
STAND_IN = """
import os
from contextlib import suppress
from pathlib import Path

import objectives.synthetic
from objectives.errors import ProcessSpent

whole_curve = objectives.synthetic.synthetic_curve
TICKETS = Path(os.environ["TICKETS"])


def curve(*arguments, pulse, **options):
    epochs = 0

    def on_the_device():
        nonlocal epochs
        pulse()
        epochs += 1
        for ticket in TICKETS.glob(f"{epochs}-*"):
            if "capture" in ticket.name and os.environ.get("HYPERSEARCH_CAPTURES") == "0":
                continue
            with suppress(FileNotFoundError):  # another process was first
                ticket.unlink()
                raise ProcessSpent(f"{ticket.name} is lost", captures="capture" not in ticket.name)

    return whole_curve(*arguments, pulse=on_the_device, **options)


objectives.synthetic.synthetic_curve = curve
"""


class User:
    """Someone with a study and a device that is lost now and then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tickets").mkdir()
        (folder / "stand-in").mkdir()
        (folder / "stand-in" / "sitecustomize.py").write_text(STAND_IN)
        (folder / "s.toml").write_text(SPEC)

    def loses(self, *tickets: str) -> None:
        """Each is EPOCH-NAME: after how many epochs of its own a process loses the device, once."""
        for ticket in tickets:
            (self.folder / "tickets" / ticket).touch()

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join(
            [str(self.folder / "stand-in"), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
        return os.environ | {"PYTHONPATH": path, "TICKETS": str(self.folder / "tickets")}

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and error."""
        ended = subprocess.run(
            [sys.executable, "-P", "-m", "hypersearch", *arguments],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return ended.returncode, ended.stdout, ended.stderr

    def trials(self) -> list[TrialRecord]:
        """By number, without when, how often and where they were trained."""
        found = hypersearch.compare("s", storage=f"sqlite:///{self.folder}/hypersearch.db").trials
        return [
            replace(
                trial, attempts=0, started_ms=0, ended_ms=0, device=None, threads=None, piece=None
            )
            for trial in sorted(found, key=lambda trial: trial.number)
        ]

    def lost(self) -> list[str]:
        """The reasons of attempts that were lost."""
        with sqlite3.connect(self.folder / "hypersearch.db") as connection:
            query = "SELECT reason FROM hypersearch_attempt WHERE outcome = 'lost' ORDER BY reason"
            return [reason for (reason,) in connection.execute(query)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[TrialRecord]:
    """The trials of the study where nothing is lost."""
    user = User(tmp_path_factory.mktemp("undisturbed"))
    hypersearch.run(
        hypersearch.load_spec(user.folder / "s.toml"),
        storage=f"sqlite:///{user.folder}/hypersearch.db",
    )
    return user.trials()


@pytest.mark.parametrize(
    "command",
    [("run", "s.toml"), pytest.param(("worker", "--workers", "2"), marks=pytest.mark.long)],
    ids=" ".join,
)
def test_a_study_goes_on_in_other_processes_where_devices_are_lost(
    command: tuple[str, ...], undisturbed: list[TrialRecord], tmp_path: Path
) -> None:
    user = User(tmp_path)
    user.loses("3-gpu", "4-gpu")
    if command[0] == "worker":
        create_or_join(
            f"sqlite:///{tmp_path}/hypersearch.db",
            Request(load_document(tmp_path / "s.toml"), {}, "s.toml"),
        )
    code, _, said = user.run(*command)
    assert code == 0, said
    for epochs in (3, 4):
        assert (
            said.count(
                f"{epochs}-gpu is lost; its trial was handed back: another process goes on\n"
            )
            == 1
        )
    assert "Traceback" not in said
    assert user.lost() == [
        f"its worker failed: ProcessSpent: {epochs}-gpu is lost" for epochs in (3, 4)
    ]
    assert user.trials() == undisturbed


@pytest.mark.long
def test_a_trial_that_loses_every_device_is_given_up_and_the_study_goes_on(tmp_path: Path) -> None:
    user = User(tmp_path)
    user.loses("1-a", "1-b", "1-c")
    code, _, said = user.run("run", "s.toml")
    assert code == 0, said
    assert len(user.lost()) == 3
    assert [(trial.state, trial.reason) for trial in user.trials()] == [
        ("failed", "given up: 3 workers died in it"),
        *[("complete", None)] * 3,
    ]


@pytest.mark.long
def test_processes_that_follow_one_that_could_not_capture_do_not_try(
    undisturbed: list[TrialRecord], tmp_path: Path
) -> None:
    user = User(tmp_path)
    # The command's own process is lost first; of those that follow, one could not capture and one
    # loses its device.
    user.loses("1-gpu", "2-capture-1", "2-capture-2", "3-gpu")
    code, _, said = user.run("run", "s.toml")
    assert code == 0, said
    assert (said.count("-capture-"), said.count("-gpu")) == (1, 2)
    assert user.trials() == undisturbed


def test_a_run_in_a_notebook_goes_on_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lost(
        hyperparameters: Hyperparameters, epochs: int, seed: int, **options: object
    ) -> SyntheticCurve:
        raise ProcessSpent("this process's device is lost")

    monkeypatch.setattr(synthetic, "synthetic_curve", lost)
    spec = parse_spec(
        {"study": {"name": "s", "trials": 3, "pruner": "none"}, "data": {"dataset": "synthetic"}},
        "test",
    )
    found = hypersearch.run(spec, storage=f"sqlite:///{tmp_path}/a.db")
    assert found.record.stored.end_reason == "trials"
    assert [
        (trial.state, trial.attempts)
        for trial in sorted(found.trials, key=lambda trial: trial.number)
    ] == [
        ("complete", 2),
        ("complete", 1),
        ("complete", 1),
    ]
    assert caplog.messages == [
        "this process's device is lost; its trial was handed back: another process goes on"
    ]
