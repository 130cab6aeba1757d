"""The loop of one worker: what each way to end is recorded as, and how trials change hands."""

import itertools
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from sqlalchemy import event, select, update

from objectives.costs import Costs
from objectives.errors import ProcessSpent
from objectives.hyperparameters import Hyperparameters
from objectives.measurement import Measurement
from objectives.predicted import Predicted
from objectives.protocol import Pulse, ResumableTraining
from objectives.synthetic import synthetic_curve
from search.machine.this_machine import Files
from search.spec.definition import stored_spec
from search.spec.document import Document, Toml
from search.spec.request import Request
from search.studies import control
from search.studies.joining import JoinedStudy, join
from search.studies.this_worker import this_worker
from search.worker.artifacts import FilesOf
from search.worker.course import new_trial
from search.worker.events import Event, TrialFinished, TrialStarted
from search.worker.loop import work, workplace
from search.worker.objective import Objective, Train
from storage.artifacts import id_of
from storage.computing import Computing
from storage.engine import open_for_work
from storage.hosts import this_host
from storage.leases.ending import Outcome
from storage.leases.lease import Lease
from storage.leases.taking import TrialLeases
from storage.owners import read_uid
from storage.records import EpochRecord, TrialRecord, read_trials
from storage.schema import attempt, lease
from storage.studies import StudyState, find_study
from storage.study_control import pause_study, resume_study, stop_study

Result = tuple[list[Event], list[TrialRecord], str | None]
# Two checkpoints are so many seconds of training apart: none pass, or more than a trial has.
EACH_EPOCH, NEVER = 0.0, 3600.0


def files_in(folder: Path) -> Files:
    return Files(str(folder / "artifacts"), folder / "checkpoints")


def run(
    tmp_path: Path,
    document: Document,
    train: Train,
    stop_after: float = math.inf,
    url: str | None = None,
    check: Callable[[], None] = lambda: None,
    files_of: FilesOf | None = None,
    *,
    checkpoint_seconds: float = EACH_EPOCH,
    monotonic: Callable[[], float] = time.monotonic,
) -> Result:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database, rdb = open_for_work(url or f"sqlite:///{tmp_path}/a.db")
    with database:
        joined = join(database, rdb, Request(document, {}, "test"))

        def choose() -> list[JoinedStudy]:
            stored = find_study(database, joined.stored.name)
            return [JoinedStudy(stored, stored_spec(stored))]

        events: list[Event] = []
        me = this_worker(this_host(), "-", 0)
        with (
            workplace(
                database,
                rdb,
                me,
                files_in(tmp_path),
                checkpoint_seconds=checkpoint_seconds,
                monotonic=monotonic,
            ) as place,
            closing(
                work(
                    place,
                    rdb,
                    choose,
                    lambda spec: Objective(train, "cpu", Computing(1, 64), files_of, check=check),
                )
            ) as stream,
        ):
            for event in stream:
                events.append(event)
                if len(events) >= stop_after:
                    break
        stored = find_study(database, joined.stored.name)
        return events, read_trials(database, stored.study_id), stored.end_reason


def curve(
    hyperparameters: Hyperparameters,
    seed: int,
    computing: Computing,
    resume: bytes | None,
    pulse: Pulse,
) -> ResumableTraining:
    return synthetic_curve(hyperparameters, 8, seed, resume=resume, pulse=pulse)


def elsewhere(tmp_path: Path) -> Path:
    """A folder for the same study without a disturbance."""
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


def study(trials: int, **more: Toml) -> Document:
    return {
        "study": {"name": "s", "trials": trials, "pruner": "none", **more},
        "data": {"dataset": "synthetic"},
    }


def test_a_trial_that_raises_is_failed_with_its_reason_and_uses_up_no_budget(
    tmp_path: Path,
) -> None:
    calls: list[int] = []

    def flaky(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        calls.append(seed)
        if len(calls) == 2:
            raise MemoryError("not enough of it\nand a second line")
        if len(calls) == 3:
            raise FileNotFoundError("/data/caf\udce9\0: not there")
        return curve(hyperparameters, seed, computing, resume, pulse)

    _, trials, reason = run(tmp_path, study(3), flaky)
    assert [(trial.state, trial.cause, trial.reason) for trial in trials] == [
        ("complete", None, None),
        ("failed", "error", "out of memory: MemoryError: not enough of it"),
        ("failed", "error", "FileNotFoundError: /data/caf\\udce9\\x00: not there"),
        ("complete", None, None),
        ("complete", None, None),
    ]
    assert reason == "trials"
    # Each trial has a seed of its own.
    assert len(set(calls)) == 5


class Unbounded:
    """A curve whose last loss on training images is infinite, where the trial is the second."""

    def __init__(self, curve: ResumableTraining) -> None:
        self._curve = curve

    @property
    def epoch(self) -> int:
        return self._curve.epoch

    def costs(self) -> Costs:
        return self._curve.costs()

    def predictions(self) -> Predicted:
        return self._curve.predictions()

    def __iter__(self) -> "Unbounded":
        return self

    def __next__(self) -> Measurement:
        measurement = next(self._curve)
        return (
            measurement if measurement.epoch < 8 else replace(measurement, train_eval_loss=math.inf)
        )

    def checkpoint(self, epoch: int | None = None) -> bytes:
        return self._curve.checkpoint(epoch)


def test_a_trial_with_a_loss_that_is_not_finite_has_diverged_in_every_database(
    url: str, tmp_path: Path
) -> None:
    calls = itertools.count()

    def wild(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        tame = curve(hyperparameters, seed, computing, resume, pulse)
        return Unbounded(tame) if next(calls) == 1 else tame

    _, trials, reason = run(tmp_path, study(3), wild, url=url)
    assert [
        (trial.state, trial.value is None, len(trial.epochs), trial.reason) for trial in trials
    ] == [
        ("complete", False, 8, None),
        ("pruned", True, 7, "diverged: the loss is not finite in epoch 8"),
        ("complete", False, 8, None),
    ]
    assert [trial.cause for trial in trials] == [None, "diverged", None]
    assert reason == "trials"


def test_a_target_ends_the_study(tmp_path: Path) -> None:
    _, trials, reason = run(tmp_path, study(50, target=0.5), curve)
    assert reason == "target"
    assert trials[-1].value is not None
    assert trials[-1].value >= 0.5
    assert all(trial.value is not None and trial.value < 0.5 for trial in trials[:-1])


def test_a_timeout_stops_the_running_trial_within_an_epoch(tmp_path: Path) -> None:
    _, trials, reason = run(tmp_path, study(50, timeout=1e-3), curve)
    assert reason == "timeout"
    assert [(trial.state, trial.cause, trial.reason, len(trial.epochs)) for trial in trials] == [
        ("pruned", "study ended", "the study ended", 1)
    ]


def test_configurations_to_run_first_are_run_first(tmp_path: Path) -> None:
    document = study(3)
    document["trial"] = [
        {"optimizer": "sgd", "sgd.learning_rate": 0.1, "dropout": False},
        {"optimizer": "adamw"},
    ]
    _, trials, _ = run(tmp_path, document, curve)
    assert trials[0].parameters["sgd.learning_rate"] == 0.1
    assert trials[0].parameters["dropout.on"] is False
    assert trials[1].parameters["optimizer"] == "adamw"


@pytest.mark.parametrize("checkpoint_seconds", [EACH_EPOCH, NEVER])
def test_a_trial_that_was_handed_back_goes_on_under_its_number_and_parameters(
    checkpoint_seconds: float, tmp_path: Path
) -> None:
    # The worker stops after three epochs of trial 0.
    first, _, _ = run(
        tmp_path, study(2), curve, stop_after=4, checkpoint_seconds=checkpoint_seconds
    )
    second, trials, _ = run(tmp_path, study(2), curve, checkpoint_seconds=checkpoint_seconds)
    started = [event for event in (first[0], second[0]) if isinstance(event, TrialStarted)]
    assert [(event.number, event.attempt) for event in started] == [(0, 1), (0, 2)]
    assert started[0].parameters == started[1].parameters
    undisturbed, _, _ = run(elsewhere(tmp_path), study(2), curve)
    values = [event.value for event in undisturbed if isinstance(event, TrialFinished)]
    assert [trial.value for trial in trials] == values
    assert [len(trial.epochs) for trial in trials] == [8, 8]
    # The second training goes on from its checkpoint.
    assert [event.epochs for event in second if isinstance(event, TrialStarted)] == [3, 0]
    assert list((tmp_path / "checkpoints").rglob("*.ckpt")) == []


@pytest.mark.parametrize("pruner", ["median", "asha"])
def test_pruned_trials_count_and_keep_the_value_of_their_last_epoch(
    tmp_path: Path, pruner: str
) -> None:
    _, trials, _ = run(tmp_path, study(20, pruner=pruner), curve)
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert pruned
    assert len(trials) == 20
    assert [trial.value for trial in pruned] == [
        trial.epochs[-1].validation_accuracy for trial in pruned
    ]
    assert {(trial.cause, trial.reason) for trial in pruned} == {("pruner", f"by {pruner}")}


def asha(audit: float) -> Toml:
    return {"name": "asha", "audit": audit}


def test_audited_trials_run_to_their_end_and_change_no_judgement(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    shares = (0.0, 0.3, 1.0)
    none, some, all_ = (
        run(folder, study(30, sampler="random", pruner=asha(share)), curve)[1]
        for folder, share in zip(folders, shares, strict=True)
    )
    stopped_after = [len(trial.epochs) if trial.state == "pruned" else None for trial in none]
    assert [trial.due_epoch for trial in none] == stopped_after
    assert [trial.due_epoch for trial in some] == stopped_after
    assert [trial.due_epoch for trial in all_] == stopped_after
    assert {trial.state for trial in all_} == {"complete"}
    audited = [trial for trial in some if trial.due_epoch is not None and trial.state == "complete"]
    assert 0 < len(audited) < len([epoch for epoch in stopped_after if epoch is not None])
    assert {len(trial.epochs) for trial in audited} == {8}


def test_a_trial_whose_worker_dies_before_it_could_stop_it_is_stopped_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = study(30, sampler="random", pruner=asha(0.0))
    finish = TrialLeases.finish

    def die(
        self: TrialLeases, held: Lease, outcome: Outcome, **rest: str | float | None
    ) -> StudyState:
        if outcome == "pruned":
            raise ValueError("its worker dies")
        return finish(self, held, outcome, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(TrialLeases, "finish", die)
    with pytest.raises(ValueError, match="its worker dies"):
        run(tmp_path, document, curve)
    monkeypatch.undo()
    events, trials, _ = run(tmp_path, document, curve)
    _, undisturbed, _ = run(elsewhere(tmp_path), document, curve)
    assert isinstance(events[0], TrialFinished)
    stopped = trials[events[0].number]
    assert (events[0].outcome, events[0].reason, events[0].epochs) == (
        "pruned",
        "by asha",
        stopped.due_epoch,
    )
    assert [replace(trial, attempts=1, started_ms=0, ended_ms=0) for trial in trials] == [
        replace(trial, attempts=1, started_ms=0, ended_ms=0) for trial in undisturbed
    ]


@pytest.mark.parametrize("checkpoint_seconds", [EACH_EPOCH, NEVER])
def test_an_audit_survives_its_worker(
    checkpoint_seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies two epochs after the trial was found due, which stands although that epoch may be
    trained once more.
    """
    document = study(12, sampler="random", pruner=asha(1.0))
    _, undisturbed, _ = run(elsewhere(tmp_path), document, curve)
    number, due = next(
        (trial.number, trial.due_epoch) for trial in undisturbed if trial.due_epoch is not None
    )
    report = TrialLeases.report

    def die(self: TrialLeases, held: Lease, measurement: Measurement, *rest: object) -> StudyState:
        if (held.number, measurement.epoch) == (number, due + 2):
            raise ValueError("its worker dies")
        return report(self, held, measurement, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(TrialLeases, "report", die)
    with pytest.raises(ValueError, match="its worker dies"):
        run(tmp_path, document, curve, checkpoint_seconds=checkpoint_seconds)
    monkeypatch.undo()
    events, trials, _ = run(tmp_path, document, curve, checkpoint_seconds=checkpoint_seconds)
    assert isinstance(events[0], TrialStarted)
    assert (events[0].number, events[0].epochs) == (
        number,
        due + 1 if checkpoint_seconds == EACH_EPOCH else 0,
    )
    assert [(trial.state, trial.due_epoch, trial.value) for trial in trials] == [
        (trial.state, trial.due_epoch, trial.value) for trial in undisturbed
    ]


def damage_all(folder: Path) -> None:
    for path in folder.rglob("*.ckpt"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")


def delete_all(folder: Path) -> None:
    for path in folder.rglob("*.ckpt"):
        path.unlink()


def damage_the_last(folder: Path) -> None:
    last = max(folder.rglob("*.ckpt"), key=lambda path: int(path.stem.partition("-")[2]))
    last.write_bytes(b"")


@pytest.mark.parametrize(("harm", "kept"), [(damage_all, 0), (delete_all, 0), (damage_the_last, 2)])
def test_a_checkpoint_that_cannot_be_trusted_is_not_used(
    harm: object, kept: int, tmp_path: Path
) -> None:
    run(tmp_path, study(1), curve, stop_after=4)
    assert callable(harm)
    harm(tmp_path / "checkpoints")
    events, trials, _ = run(tmp_path, study(1), curve)
    undisturbed, _, _ = run(elsewhere(tmp_path), study(1), curve)
    assert [event.epochs for event in events if isinstance(event, TrialStarted)] == [kept]
    values = [event.value for event in undisturbed if isinstance(event, TrialFinished)]
    assert [trial.value for trial in trials] == values
    assert [epoch.epoch for epoch in trials[0].epochs] == list(range(1, 9))


def leave_checkpoints(tmp_path: Path, trial: int) -> None:
    """What a worker leaves that dies between the end of a trial and the removal of its files."""
    (study_folder,) = (tmp_path / "checkpoints").glob("*/*")
    (study_folder / str(trial)).mkdir()
    (study_folder / str(trial) / "1-8.ckpt").write_bytes(b"")
    (study_folder / str(trial) / "1-8.ckpt.aside").write_bytes(b"")


def test_the_end_of_a_study_sweeps_what_dead_workers_left(tmp_path: Path) -> None:
    # The worker stops after trial 0 and some epochs of trial 1.
    run(tmp_path, study(3), curve, stop_after=14)
    leave_checkpoints(tmp_path, 0)
    run(tmp_path, study(3), curve)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_worker_that_comes_after_the_end_of_a_study_sweeps_what_dead_workers_left(
    tmp_path: Path,
) -> None:
    run(tmp_path, study(1), curve, stop_after=4)
    (study_folder,) = (tmp_path / "checkpoints").glob("*/*")
    run(tmp_path, study(1), curve)
    study_folder.mkdir(parents=True)
    leave_checkpoints(tmp_path, 0)
    run(tmp_path, study(1), curve)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_worker_whose_report_is_refused_leaves_no_checkpoint_of_it(tmp_path: Path) -> None:
    calls: list[int] = []

    def taken_over_in_epoch_3(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        def take() -> None:
            calls.append(len(calls))
            if len(calls) == 3:
                database, _ = open_for_work(f"sqlite:///{tmp_path}/a.db")
                with database, database.transactions.write() as connection:
                    connection.execute(update(lease).values(owner="another", attempt=2))

        return synthetic_curve(hyperparameters, 8, seed, resume=resume, pulse=take)

    events, _, _ = run(tmp_path, study(1), taken_over_in_epoch_3, stop_after=4)
    last = events[-1]
    assert isinstance(last, TrialFinished)
    assert (last.outcome, last.epochs) == ("lost", 2)
    assert sorted(path.name for path in (tmp_path / "checkpoints").rglob("*.ckpt")) == [
        "1-1.ckpt",
        "1-2.ckpt",
    ]


def test_a_folder_that_cannot_be_written_costs_checkpoints_and_no_trial(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "checkpoints").write_text("a file where a folder should be")
    _, trials, reason = run(tmp_path, study(2), curve)
    assert [trial.state for trial in trials] == ["complete", "complete"]
    assert reason == "trials"
    # Each trial warns once.
    assert len([line for line in caplog.messages if "goes on without a checkpoint" in line]) == 2


@pytest.mark.parametrize("checkpoint_seconds", [EACH_EPOCH, NEVER])
def test_a_paused_study_has_its_trial_back_within_an_epoch_and_goes_on(
    checkpoint_seconds: float, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    epochs: list[int] = []

    def paused_in_epoch_3(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        def pause() -> None:
            pulse()
            epochs.append(len(epochs))
            if len(epochs) == 3:
                database, _ = open_for_work(url)
                with database:
                    pause_study(database, find_study(database, "s"))

        return synthetic_curve(hyperparameters, 8, seed, resume=resume, pulse=pause)

    events, _, _ = run(
        tmp_path, study(1), paused_in_epoch_3, stop_after=5, checkpoint_seconds=checkpoint_seconds
    )
    last = events[-1]
    assert isinstance(last, TrialFinished)
    assert (last.outcome, last.reason, last.epochs) == ("handed back", "the study is paused", 3)
    database, _ = open_for_work(url)
    with database:
        resume_study(database, find_study(database, "s"))
    events, _, _ = run(tmp_path, study(1), curve, checkpoint_seconds=checkpoint_seconds)
    assert [
        (event.attempt, event.epochs) for event in events if isinstance(event, TrialStarted)
    ] == [(2, 3)]


def test_a_stopped_study_ends_its_trial_within_an_epoch(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"

    def stopped(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        database, _ = open_for_work(url)
        with database:
            stop_study(database, find_study(database, "s"))
        return curve(hyperparameters, seed, computing, resume, pulse)

    _, trials, reason = run(tmp_path, study(5), stopped)
    assert [(trial.state, len(trial.epochs), trial.reason) for trial in trials] == [
        ("pruned", 1, "the study ended")
    ]
    assert reason == "stopped"


def test_a_trial_in_which_every_worker_fails_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: TrialLeases, *arguments: object) -> None:
        raise ValueError("a fault of the program")

    monkeypatch.setattr(TrialLeases, "record_parameters", fail)
    for _ in range(3):
        with pytest.raises(ValueError, match="a fault of the program"):
            run(tmp_path, study(1), curve)
    monkeypatch.undo()
    _, trials, _ = run(tmp_path, study(1), curve)
    assert [(trial.number, trial.state, trial.cause, trial.reason) for trial in trials] == [
        (0, "failed", "given up", "given up: 3 workers died in it"),
        (1, "complete", None, None),
    ]


class Lost:
    """A curve on a device that fails for good in its third epoch, where that asks something of
    it.
    """

    def __init__(self, curve: ResumableTraining, where: str) -> None:
        self._curve = curve
        self._where = where

    @property
    def epoch(self) -> int:
        return self._curve.epoch

    def costs(self) -> Costs:
        self._fail("costs")
        return self._curve.costs()

    def predictions(self) -> Predicted:
        self._fail("predictions")
        return self._curve.predictions()

    def __iter__(self) -> "Lost":
        return self

    def __next__(self) -> Measurement:
        if self.epoch == 2:
            self._fail("epoch")
        return next(self._curve)

    def checkpoint(self, epoch: int | None = None) -> bytes:
        if self.epoch == 3:
            self._fail("checkpoint")
        return self._curve.checkpoint(epoch)

    def _fail(self, where: str) -> None:
        if where == self._where:
            raise RuntimeError("CUDA error: device-side assert triggered")


def check_of_a_lost_device() -> None:
    raise ProcessSpent(
        "cuda computes no more in this process (CUDA error: device-side assert triggered)"
    )


@pytest.mark.parametrize(
    ("where", "epochs_kept"),
    [("start", 0), ("costs", 0), ("epoch", 2), ("checkpoint", 2), ("files", 8)],
)
def test_a_device_that_is_lost_is_its_workers_failure_and_not_the_trials(
    where: str, epochs_kept: int, tmp_path: Path
) -> None:
    def lost(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        if where == "start":
            raise RuntimeError("CUDA error: device-side assert triggered")
        return Lost(curve(hyperparameters, seed, computing, resume, pulse), where)

    def files_of(training: ResumableTraining, epochs: Sequence[EpochRecord]) -> Mapping[str, bytes]:
        raise RuntimeError("CUDA error: device-side assert triggered")

    document = study(1, minimize=["parameters"]) if where == "costs" else study(1)
    with pytest.raises(ProcessSpent) as spent:
        run(tmp_path, document, lost, check=check_of_a_lost_device, files_of=files_of)
    assert (
        str(spent.value)
        == "cuda computes no more in this process (CUDA error: device-side assert triggered)"
    )
    url = f"sqlite:///{tmp_path}/a.db"
    assert attempts(url) == [("lost", f"its worker failed: {spent_reason(where)}")]
    events, trials, _ = run(tmp_path, document, curve)
    assert [
        (event.attempt, event.epochs) for event in events if isinstance(event, TrialStarted)
    ] == [(2, epochs_kept)]
    _, undisturbed, _ = run(elsewhere(tmp_path), document, curve)
    assert [(trial.state, trial.value) for trial in trials] == [
        (trial.state, trial.value) for trial in undisturbed
    ]


def spent_reason(where: str) -> str:
    """What is recorded: what the device's check says or, where the worker failed outside its
    training, the error.
    """
    said = "CUDA error: device-side assert triggered"
    if where in ("checkpoint", "files"):
        return f"RuntimeError: {said}"
    return f"ProcessSpent: cuda computes no more in this process ({said})"


def attempts(url: str) -> list[tuple[str | None, str | None]]:
    """Outcome and reason of each attempt."""
    database, _ = open_for_work(url)
    with database, database.transactions.read() as connection:
        query = select(attempt.c.outcome, attempt.c.reason).order_by(
            attempt.c.trial_id, attempt.c.attempt
        )
        return [(row.outcome, row.reason) for row in connection.execute(query)]


def test_a_process_that_is_spent_for_another_reason_says_what_the_next_one_must_not_do(
    tmp_path: Path,
) -> None:
    def cannot_capture(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        raise ProcessSpent("steps cannot be captured", captures=False)

    with pytest.raises(ProcessSpent) as spent:
        run(tmp_path, study(1), cannot_capture, check=check_of_a_lost_device)
    assert (str(spent.value), spent.value.captures) == ("steps cannot be captured", False)


def test_a_trial_over_its_time_limit_is_pruned_with_its_last_value(tmp_path: Path) -> None:
    def slow(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        return synthetic_curve(
            hyperparameters, 8, seed, resume=resume, pulse=pulse, seconds_per_epoch=0.2
        )

    _, trials, _ = run(tmp_path, {**study(1), "training": {"timeout": 0.5}}, slow)
    assert [(trial.state, trial.cause, trial.reason) for trial in trials] == [
        ("pruned", "time limit", "over its time limit of 0s")
    ]
    assert trials[0].value == trials[0].epochs[-1].validation_accuracy
    assert 1 <= len(trials[0].epochs) <= 2


@pytest.mark.parametrize("pruner", ["none", {"name": "asha", "audit": 1.0}])
def test_a_trial_takes_at_most_three_write_transactions_more_than_epochs(
    tmp_path: Path, pruner: Toml
) -> None:
    database, rdb = open_for_work(f"sqlite:///{tmp_path}/a.db")
    written: list[str] = []
    with database:
        joined = join(database, rdb, Request(study(12, pruner=pruner), {}, "test"))
        me = this_worker(this_host(), "-", 0)
        with workplace(database, rdb, me, files_in(tmp_path)) as place:
            event.listen(
                database.engine,
                "before_cursor_execute",
                lambda connection, cursor, statement, *_: written.append(statement),
            )
            counts = []
            for each in work(
                place, rdb, lambda: [joined], lambda spec: Objective(curve, "cpu", Computing(1, 64))
            ):
                if isinstance(each, TrialFinished):
                    counts.append(sum(statement == "BEGIN IMMEDIATE" for statement in written))
                    written.clear()
                    if len(counts) == 12:
                        break
    # The signs of life of the worker itself come every 15 s, whatever it does: one may fall in
    # here.
    assert sum(counts) <= 12 * (8 + 3) + 1
    assert min(counts) == 8 + 3


def test_a_new_trial_is_known_without_reading_it(tmp_path: Path) -> None:
    database, rdb = open_for_work(f"sqlite:///{tmp_path}/a.db")
    with database:
        joined = join(database, rdb, Request(study(1), {}, "test"))
        held = TrialLeases(database, rdb, this_worker(this_host(), "-", 0)).acquire(joined.stored)
        stored = rdb.get_trial(held.trial_id)
    stored.datetime_start = None
    assert new_trial(held) == stored


def test_an_artifact_that_a_deletion_elsewhere_removes_while_its_trial_ends_is_brought_back(
    tmp_path: Path,
) -> None:
    model = Path(tmp_path / "artifacts" / id_of(b"weights"))
    removed: list[Path] = []
    database, rdb = open_for_work(f"sqlite:///{tmp_path}/a.db")
    with database:
        joined = join(database, rdb, Request(study(1), {}, "test"))

        def remove(connection: object, cursor: object, statement: str, *_: object) -> None:
            if statement.startswith("UPDATE trials SET") and model.exists():
                model.unlink()
                shutil.rmtree(f"{model}.owners")
                removed.append(model)

        event.listen(database.engine, "before_cursor_execute", remove)
        objective = Objective(
            curve,
            "cpu",
            Computing(1, 64),
            lambda training, epochs: {"model.safetensors": b"weights"},
        )
        with workplace(
            database, rdb, this_worker(this_host(), "-", 0), files_in(tmp_path)
        ) as place:
            stream = work(place, rdb, lambda: [joined], lambda spec: objective)
            next(each for each in stream if isinstance(each, TrialFinished))
            stream.close()
        assert removed == [model]
        assert model.read_bytes() == b"weights"
        assert [mark.name for mark in Path(f"{model}.owners").iterdir()] == [read_uid(database)]


def test_a_copy_of_a_database_takes_no_checkpoint_from_the_original_and_goes_on_from_it(
    tmp_path: Path,
) -> None:
    # The worker stops after three epochs of trial 0.
    run(tmp_path, study(1), curve, stop_after=4)
    kept = sorted((tmp_path / "checkpoints").rglob("*.ckpt"))
    assert [path.name for path in kept] == ["1-2.ckpt", "1-3.ckpt"]
    copy = elsewhere(tmp_path)
    shutil.copy(tmp_path / "a.db", copy / "a.db")
    (copy / "checkpoints").symlink_to(tmp_path / "checkpoints")
    events, _, _ = run(copy, study(1), curve)
    assert [event.epochs for event in events if isinstance(event, TrialStarted)] == [3]
    control.delete(f"sqlite:///{copy}/a.db", "s", files_in(copy))
    assert sorted((tmp_path / "checkpoints").rglob("*.ckpt")) == kept
    events, _, _ = run(tmp_path, study(1), curve)
    assert [event.epochs for event in events if isinstance(event, TrialStarted)] == [3]
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_checkpoints_where_the_release_before_kept_them_are_gone_on_from(tmp_path: Path) -> None:
    run(tmp_path, study(1), curve, stop_after=4)
    (study_folder,) = (tmp_path / "checkpoints").glob("*/*")
    study_folder.rename(tmp_path / "checkpoints" / study_folder.name)
    events, _, _ = run(tmp_path, study(1), curve)
    assert [event.epochs for event in events if isinstance(event, TrialStarted)] == [3]
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_deleted_study_leaves_the_models_of_another_database_that_shares_its_artifact_root(
    tmp_path: Path,
) -> None:
    """The same seed trains the same weights, which are kept once for both."""
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in "ab"]
    for url in urls:
        run(
            tmp_path,
            study(1),
            curve,
            url=url,
            files_of=lambda training, epochs: {"model.safetensors": b"weights"},
        )

    def models() -> list[Path]:
        return [path for path in (tmp_path / "artifacts").iterdir() if path.is_file()]

    (model,) = models()
    control.delete(urls[0], "s", files_in(tmp_path))
    assert models() == [model]
    assert model.read_bytes() == b"weights"
    control.delete(urls[1], "s", files_in(tmp_path))
    assert models() == []
