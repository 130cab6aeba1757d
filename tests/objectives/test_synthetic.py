"""Synthetic curves have the protocol of train() and cost next to nothing."""

import itertools
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from objectives import names
from objectives.errors import CheckpointError
from objectives.hyperparameters import SGD, Adam, AdamW, Augmentation, Cosine, Hyperparameters
from objectives.measurement import Diverged, Measurement
from objectives.protocol import ResumableTraining
from objectives.synthetic import BEST_LEARNING_RATE, SHORTFALL, synthetic_curve

GOOD = Hyperparameters(AdamW(2e-3), Cosine(), dropout=0.2, normalization="batch")


def last(hyperparameters: Hyperparameters, seed: int = 0) -> Measurement:
    return list(synthetic_curve(hyperparameters, 8, seed))[-1]


def mean_accuracy(hyperparameters: Hyperparameters) -> float:
    return sum(last(hyperparameters, seed).validation_accuracy for seed in range(50)) / 50


def test_the_constants_are_those_of_optimizers() -> None:
    assert set(BEST_LEARNING_RATE) == set(SHORTFALL) <= set(names.OPTIMIZERS)


def test_a_curve_is_a_function_of_its_arguments() -> None:
    first = list(synthetic_curve(GOOD, 8, seed=3))
    assert list(synthetic_curve(GOOD, 8, seed=3)) == first
    assert list(synthetic_curve(GOOD, 8, seed=4)) != first
    assert list(synthetic_curve(replace(GOOD, dropout=0.21), 8, seed=3)) != first


def test_a_curve_has_the_protocol_of_train() -> None:
    found = list(synthetic_curve(GOOD, 5, seed=0))
    assert [measurement.epoch for measurement in found] == [1, 2, 3, 4, 5]
    assert [measurement.train_eval_loss is None for measurement in found] == [True] * 4 + [False]
    assert 0 < found[-1].learning_rate < found[0].learning_rate < 2e-3


def test_accuracy_rises_and_loss_falls() -> None:
    found = list(synthetic_curve(GOOD, 8, seed=0))
    assert found[0].validation_accuracy < 0.7
    assert 0.95 < found[-1].validation_accuracy <= 1
    assert found[-1].validation_loss < 0.2 * found[0].validation_loss
    assert found[-1].train_eval_loss is not None


@pytest.mark.parametrize("optimizer", [SGD(0.1), Adam(2e-3)])
def test_a_learning_rate_is_worse_the_farther_it_is_from_the_best(optimizer: SGD | Adam) -> None:
    def at(decades: float) -> float:
        rate = optimizer.learning_rate * 10**decades
        return mean_accuracy(replace(GOOD, optimizer=replace(optimizer, learning_rate=rate)))

    assert at(-2) < at(-1) < at(0) > at(1) > at(2)


@pytest.mark.parametrize(
    "worse",
    [
        replace(GOOD, optimizer=AdamW(2e-3, weight_decay=0.1)),
        replace(GOOD, l1=1e-2),
        replace(GOOD, dropout=0.8),
        replace(GOOD, normalization="none"),
        replace(GOOD, optimizer=SGD(0.1)),
    ],
)
def test_techniques_matter(worse: Hyperparameters) -> None:
    assert mean_accuracy(worse) < mean_accuracy(GOOD)


def test_augmentation_helps_and_narrows_the_gap() -> None:
    augmented = replace(GOOD, augmentation=Augmentation(("shift",), 0.3))
    assert mean_accuracy(augmented) > mean_accuracy(GOOD)


@pytest.mark.parametrize("rate", [1e-12, 1e3])
def test_scores_stay_possible_at_the_ends_of_the_space(rate: float) -> None:
    found = last(
        Hyperparameters(SGD(rate, 0.9, weight_decay=1e3), l1=1e3, dropout=0.99, batch_size=8)
    )
    assert 0 <= found.validation_accuracy < 0.2
    assert 0 <= found.train_accuracy < 0.2


def test_a_learning_rate_above_1000_diverges_in_the_first_epoch() -> None:
    with pytest.raises(Diverged) as raised:
        next(synthetic_curve(Hyperparameters(SGD(1.1e3)), 8, seed=0))
    assert raised.value.epoch == 1


def test_an_epoch_costs_microseconds() -> None:
    started = time.process_time()
    for seed in range(100):
        last(GOOD, seed)
    assert (time.process_time() - started) / 800 < 200e-6


# --- checkpoints


def test_a_resumed_curve_is_the_uninterrupted_one() -> None:
    """From every epoch, by a chain of resumes."""
    whole = list(synthetic_curve(GOOD, 8, seed=3))
    checkpoint = None
    for epoch in range(9):
        running: ResumableTraining = synthetic_curve(GOOD, 8, seed=3, resume=checkpoint)
        assert running.epoch == epoch
        assert list(synthetic_curve(GOOD, 8, seed=3, resume=checkpoint)) == whole[epoch:]
        assert list(itertools.islice(running, 1)) == whole[epoch : epoch + 1]
        checkpoint = running.checkpoint()
    assert len(checkpoint or b"") < 1000


@pytest.mark.parametrize(
    "other",
    [
        synthetic_curve(replace(GOOD, dropout=0.21), 8, seed=3),
        synthetic_curve(GOOD, 9, seed=3),
        synthetic_curve(GOOD, 8, seed=4),
    ],
    ids=["hyperparameters", "epochs", "seed"],
)
def test_a_checkpoint_of_another_curve_is_refused_as_in_training(other: ResumableTraining) -> None:
    with pytest.raises(CheckpointError) as raised:
        synthetic_curve(GOOD, 8, seed=3, resume=other.checkpoint())
    assert str(raised.value) == str(CheckpointError.of_another_run())


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"3", b"[]", b"{}", b'{"run": "", "epoch": "x"}']
)
def test_bytes_that_are_no_checkpoint_are_refused_as_in_training(content: bytes) -> None:
    with pytest.raises(CheckpointError) as raised:
        synthetic_curve(GOOD, 8, seed=3, resume=content)
    assert str(raised.value) == str(CheckpointError.unreadable())


def kept(running: ResumableTraining) -> dict[int, bytes]:
    """What it gives of each epoch that it has the state of."""
    found = {}
    for epoch in range(10):
        with suppress(CheckpointError):
            found[epoch] = running.checkpoint(epoch)
    return found


def test_the_states_that_are_kept_are_those_that_a_training_keeps() -> None:
    """After the last finished epoch, and before the one that was begun last."""
    running = synthetic_curve(GOOD, 8, seed=3)
    written = [running.checkpoint()]
    assert kept(running) == {0: written[0]}
    for epoch in (1, 2, 3):
        next(running)
        written.append(running.checkpoint())
        assert kept(running) == {epoch - 1: written[epoch - 1], epoch: written[epoch]}
    resumed = synthetic_curve(GOOD, 8, seed=3, resume=written[2])
    assert kept(resumed) == {2: written[2]}


def test_an_epoch_that_raises_is_the_last_and_the_state_before_it_is_kept() -> None:
    running = synthetic_curve(Hyperparameters(SGD(1.1e3)), 8, seed=0)
    before = running.checkpoint()
    with pytest.raises(Diverged):
        next(running)
    assert (running.epoch, list(running)) == (0, [])
    assert kept(running) == {0: before}


def test_an_epoch_that_is_broken_off_leaves_the_state_before_it() -> None:
    beats = itertools.count(1)

    def pulse() -> None:
        if next(beats) == 3:
            raise KeyboardInterrupt

    running = synthetic_curve(GOOD, 8, seed=3, pulse=pulse)
    list(itertools.islice(running, 2))
    before = running.checkpoint()
    with pytest.raises(KeyboardInterrupt):
        next(running)
    assert (running.epoch, list(running)) == (2, [])
    assert kept(running) == {2: before}


def test_each_epoch_sleeps_and_then_beats() -> None:
    heard: list[float | str] = []
    running = synthetic_curve(
        GOOD,
        2,
        seed=0,
        pulse=lambda: heard.append("pulse"),
        seconds_per_epoch=2.5,
        sleep=heard.append,
    )
    assert heard == []
    assert list(running) == list(synthetic_curve(GOOD, 2, seed=0))
    assert heard == [2.5, "pulse", 2.5, "pulse"]


def test_torch_is_not_imported() -> None:
    code = "import sys, objectives.synthetic; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
