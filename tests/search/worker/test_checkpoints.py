"""When a trial's state is written, and that it goes on from there: after kill -9, a pause, an
interruption.
"""

import itertools
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from sqlalchemy import update

from objectives.checkpoint import CHECKPOINT_SECONDS, CheckpointFolder, SavedCheckpoint
from objectives.hyperparameters import Hyperparameters
from objectives.measurement import Measurement
from objectives.protocol import Pulse, ResumableTraining
from search.worker.events import TrialStarted
from storage.computing import Computing
from storage.engine import open_for_work
from storage.leases import recording
from storage.leases.keeper import Keeper
from storage.leases.lease import Lease
from storage.leases.taking import TrialLeases
from storage.records import read_checkpoints
from storage.schema import lease
from storage.studies import StudyState
from tests.search.worker.test_loop import EACH_EPOCH, NEVER, Unbounded, curve, elsewhere, run, study


class Clock:
    """A monotonic clock that training moves."""

    def __init__(self, seconds_per_epoch: float) -> None:
        self.now = 1000.0
        self._seconds_per_epoch = seconds_per_epoch

    def __call__(self) -> float:
        return self.now

    def train(
        self,
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        def train() -> None:
            pulse()
            self.now += self._seconds_per_epoch

        return curve(hyperparameters, seed, computing, resume, train)


def saved_epochs(tmp_path: Path) -> list[tuple[int, str | None]]:
    """The recorded epochs of trial 0, each with the name of its checkpoint."""
    database, _ = open_for_work(f"sqlite:///{tmp_path}/a.db")
    with database:
        trial_id = (
            database.engine.connect()
            .exec_driver_sql("SELECT trial_id FROM trials WHERE number = 0")
            .scalar()
        )
        assert isinstance(trial_id, int)
        return [(each.epoch, each.name) for each in read_checkpoints(database, trial_id)]


@pytest.mark.parametrize(
    ("seconds_per_epoch", "epochs"),
    [
        (0.01, []),
        (1.2, []),
        (1.25, [8]),
        (4.0, [3, 6]),
        (5.0, [2, 4, 6, 8]),
        (9.9, [2, 4, 6, 8]),
        (10.0, range(1, 9)),
    ],
)
def test_a_checkpoint_is_written_once_ten_seconds_of_training_have_passed_since_the_last(
    seconds_per_epoch: float, epochs: Sequence[int], tmp_path: Path
) -> None:
    clock = Clock(seconds_per_epoch)
    run(tmp_path, study(1), clock.train, checkpoint_seconds=CHECKPOINT_SECONDS, monotonic=clock)
    assert CHECKPOINT_SECONDS == 10
    assert saved_epochs(tmp_path) == [
        (epoch, f"1-{epoch}.ckpt" if epoch in epochs else None) for epoch in range(1, 9)
    ]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.search.worker.test_checkpoints import Clock
from tests.search.worker.test_loop import run, study
clock = Clock(4.0)
def train(hyperparameters, seed, computing, resume, pulse):
    def killed_in_epoch_8():
        if clock.now == 1028.0:
            os.kill(os.getpid(), signal.SIGKILL)
        pulse()
    return clock.train(hyperparameters, seed, computing, resume, killed_in_epoch_8)
run(Path(sys.argv[1]), study(2), train, checkpoint_seconds=float(sys.argv[2]), monotonic=clock)
"""


@pytest.mark.parametrize(
    ("checkpoint_seconds", "there", "left"),
    [
        (EACH_EPOCH, 7, ["1-6.ckpt", "1-7.ckpt"]),
        (CHECKPOINT_SECONDS, 6, ["1-3.ckpt", "1-6.ckpt"]),
        (NEVER, 0, []),
    ],
)
def test_after_kill_9_a_trial_goes_on_from_the_last_checkpoint_as_if_undisturbed(
    checkpoint_seconds: float, there: int, left: list[str], tmp_path: Path
) -> None:
    """What comes after the checkpoint is trained and recorded once more: reports, epochs and budget
    are exact.
    """
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(checkpoint_seconds)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert [epoch for epoch, _ in saved_epochs(tmp_path)] == [1, 2, 3, 4, 5, 6, 7]
    assert sorted(path.name for path in (tmp_path / "checkpoints").rglob("*.*")) == left
    events, trials, reason = run(tmp_path, study(2), curve, checkpoint_seconds=checkpoint_seconds)
    _, undisturbed, _ = run(elsewhere(tmp_path), study(2), curve)
    assert [
        (event.number, event.epochs) for event in events if isinstance(event, TrialStarted)
    ] == [(0, there), (1, 0)]
    assert [replace(trial, attempts=1, started_ms=0, ended_ms=0) for trial in trials] == [
        replace(trial, attempts=1, started_ms=0, ended_ms=0) for trial in undisturbed
    ]
    reports = [
        optuna.load_study(study_name="s", storage=f"sqlite:///{folder}/a.db")
        .trials[0]
        .intermediate_values
        for folder in (tmp_path, tmp_path / "elsewhere")
    ]
    assert reports[0] == reports[1]
    assert (list(reports[0]), reason) == ([1, 2, 3, 4, 5, 6, 7, 8], "trials")
    assert list((tmp_path / "checkpoints").rglob("*.ckpt")) == []


def interrupted_in_an_epoch(monkeypatch: pytest.MonkeyPatch) -> int:
    steps = itertools.count(1)

    def moved(self: Keeper) -> None:
        if next(steps) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(Keeper, "moved", moved)
    return 3


def interrupted_before_a_report(monkeypatch: pytest.MonkeyPatch) -> int:
    def interrupted(
        self: TrialLeases, held: Lease, measurement: Measurement, *rest: object
    ) -> StudyState:
        if measurement.epoch == 4:
            raise KeyboardInterrupt
        return report(self, held, measurement, *rest)  # type: ignore[arg-type]

    report = TrialLeases.report
    monkeypatch.setattr(TrialLeases, "report", interrupted)
    return 3


def interrupted_in_the_transaction_of_a_report(monkeypatch: pytest.MonkeyPatch) -> int:
    def interrupted(
        self: TrialLeases, held: Lease, measurement: Measurement, *rest: object
    ) -> StudyState:
        if measurement.epoch == 4:
            monkeypatch.setattr(recording, "read_state", interrupt)
        return report(self, held, measurement, *rest)  # type: ignore[arg-type]

    def interrupt(*_: object) -> None:
        monkeypatch.setattr(recording, "read_state", read_state)
        raise KeyboardInterrupt

    report, read_state = TrialLeases.report, recording.read_state
    monkeypatch.setattr(TrialLeases, "report", interrupted)
    return 3


def interrupted_after_a_report(monkeypatch: pytest.MonkeyPatch) -> int:
    def interrupted(
        self: TrialLeases, held: Lease, measurement: Measurement, *rest: object
    ) -> StudyState:
        state = report(self, held, measurement, *rest)  # type: ignore[arg-type]
        if measurement.epoch == 4:
            raise KeyboardInterrupt
        return state

    report = TrialLeases.report
    monkeypatch.setattr(TrialLeases, "report", interrupted)
    return 4


@pytest.mark.parametrize(
    "interrupted",
    [
        interrupted_in_an_epoch,
        interrupted_before_a_report,
        interrupted_in_the_transaction_of_a_report,
        interrupted_after_a_report,
    ],
)
@pytest.mark.parametrize("checkpoint_seconds", [EACH_EPOCH, NEVER])
def test_an_interruption_at_any_moment_costs_no_recorded_epoch(
    checkpoint_seconds: float,
    interrupted: Callable[[pytest.MonkeyPatch], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The state after the last recorded epoch is written and named there, also where the next has
    begun or ended.
    """
    recorded = interrupted(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, study(1), curve, checkpoint_seconds=checkpoint_seconds)
    monkeypatch.undo()
    named = [
        (
            epoch,
            f"1-{epoch}.ckpt" if checkpoint_seconds == EACH_EPOCH or epoch == recorded else None,
        )
        for epoch in range(1, recorded + 1)
    ]
    assert saved_epochs(tmp_path) == named
    events, trials, _ = run(tmp_path, study(1), curve, checkpoint_seconds=NEVER)
    assert [event.epochs for event in events if isinstance(event, TrialStarted)] == [recorded]
    assert saved_epochs(tmp_path) == [*named, *((epoch, None) for epoch in range(recorded + 1, 9))]
    _, undisturbed, _ = run(elsewhere(tmp_path), study(1), curve)
    assert [trial.epochs for trial in trials] == [trial.epochs for trial in undisturbed]


def test_a_hand_back_that_comes_too_late_leaves_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = CheckpointFolder.save

    def taken_over_meanwhile(self: CheckpointFolder, epoch: int, content: bytes) -> SavedCheckpoint:
        database, _ = open_for_work(f"sqlite:///{tmp_path}/a.db")
        with database, database.transactions.write() as connection:
            connection.execute(update(lease).values(owner="another", attempt=2))
        return save(self, epoch, content)

    monkeypatch.setattr(CheckpointFolder, "save", taken_over_meanwhile)
    run(tmp_path, study(1), curve, stop_after=4, checkpoint_seconds=NEVER)
    assert saved_epochs(tmp_path) == [(1, None), (2, None), (3, None)]
    assert list((tmp_path / "checkpoints").rglob("*.ckpt*")) == []


def test_a_second_interruption_while_the_checkpoint_is_written_loses_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: CheckpointFolder, epoch: int, content: bytes) -> SavedCheckpoint:
        raise KeyboardInterrupt

    monkeypatch.setattr(CheckpointFolder, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, study(1), curve, stop_after=4, checkpoint_seconds=NEVER)
    monkeypatch.undo()
    events, trials, _ = run(tmp_path, study(1), curve)
    assert [
        (event.attempt, event.epochs) for event in events if isinstance(event, TrialStarted)
    ] == [(2, 0)]
    assert [(trial.state, len(trial.epochs)) for trial in trials] == [("complete", 8)]


class Broken(Unbounded):
    """A training whose state cannot be read."""

    def checkpoint(self, epoch: int | None = None) -> bytes:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nand more")


def test_a_training_that_cannot_give_its_state_is_handed_back_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        return Broken(curve(hyperparameters, seed, computing, resume, pulse))

    run(tmp_path, study(1), broken, stop_after=4, checkpoint_seconds=NEVER)
    assert caplog.messages == [
        "trial 0 is handed back without a checkpoint of its last epoch: RuntimeError: CUDA error:"
        " an illegal memory access was encountered"
    ]
    events, _, _ = run(tmp_path, study(1), curve)
    assert [
        (event.attempt, event.epochs) for event in events if isinstance(event, TrialStarted)
    ] == [(2, 0)]


def test_a_folder_that_cannot_be_written_keeps_no_trial_from_being_handed_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "checkpoints").write_text("a file where a folder should be")
    run(tmp_path, study(1), curve, stop_after=4, checkpoint_seconds=NEVER)
    assert len([line for line in caplog.messages if "goes on without a checkpoint" in line]) == 1
    events, _, _ = run(tmp_path, study(1), curve)
    assert [
        (event.attempt, event.epochs) for event in events if isinstance(event, TrialStarted)
    ] == [(2, 0)]
