"""Schedules are pure functions of the step, and over a whole run they are torch's."""

import pytest
import torch
from torch.optim import lr_scheduler

from objectives import names
from objectives.hyperparameters import Constant, Cosine, Exponential, Scheduler, Step
from objectives.schedulers import SCHEDULERS, Plan, learning_rate_factor

PLAN = Plan(epochs=10, steps_per_epoch=3)


def factors(scheduler: Scheduler, plan: Plan = PLAN) -> list[float]:
    return [learning_rate_factor(scheduler, step, plan) for step in range(plan.epochs * plan.steps_per_epoch)]


def optimizer_of_rate_one() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def rates(optimizer: torch.optim.Optimizer, scheduler: lr_scheduler.LRScheduler, steps: int) -> list[float]:
    """The rates of a run that steps the scheduler after the optimizer."""
    used = []
    for _ in range(steps):
        used.append(float(scheduler.get_last_lr()[0]))
        optimizer.step()
        scheduler.step()
    return used


def repeated(per_epoch: list[float]) -> list[float]:
    return [factor for factor in per_epoch for _ in range(PLAN.steps_per_epoch)]


def test_every_name_is_implemented_and_nothing_else() -> None:
    assert tuple(SCHEDULERS) == names.SCHEDULERS


def test_constant_is_always_one() -> None:
    assert factors(Constant()) == [1.0] * 30


def test_step_is_torch_steplr() -> None:
    optimizer = optimizer_of_rate_one()
    expected = rates(optimizer, lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.5), 10)
    assert factors(Step(period=0.3, factor=0.5)) == pytest.approx(repeated(expected), rel=1e-12)


def test_exponential_is_torch_exponentiallr_that_ends_at_the_final_ratio() -> None:
    optimizer = optimizer_of_rate_one()
    expected = rates(optimizer, lr_scheduler.ExponentialLR(optimizer, gamma=0.01 ** (1 / 9)), 10)
    found = factors(Exponential(final_ratio=0.01))
    assert found == pytest.approx(repeated(expected), rel=1e-9)
    assert [found[0], found[-1]] == pytest.approx([1.0, 0.01], rel=1e-12)


def test_cosine_is_torch_cosineannealinglr_per_optimizer_step() -> None:
    optimizer = optimizer_of_rate_one()
    expected = rates(optimizer, lr_scheduler.CosineAnnealingLR(optimizer, T_max=30), 30)
    assert factors(Cosine()) == pytest.approx(expected, abs=1e-12)


def test_cosine_starts_at_one_is_half_at_half_and_never_wastes_a_step_on_zero() -> None:
    found = factors(Cosine())
    assert found[0] == 1.0
    assert found[15] == pytest.approx(0.5)
    assert 0 < found[-1] < 0.003


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        (0.01, [1.0, 0.5, 0.25, 0.125, 0.0625]),  # less than an epoch: every epoch
        (0.3, [1.0, 1.0, 0.5, 0.5, 0.25]),  # 1.5 epochs: 2
        (0.4, [1.0, 1.0, 0.5, 0.5, 0.25]),
        (1.0, [1.0] * 5),
    ],
)
def test_a_step_period_is_a_share_of_the_epochs_and_at_least_one(period: float, expected: list[float]) -> None:
    assert factors(Step(period, 0.5), Plan(epochs=5, steps_per_epoch=1)) == expected


@pytest.mark.parametrize("scheduler", [Constant(), Step(0.3, 0.1), Exponential(0.01)])
def test_a_run_of_one_epoch_keeps_its_learning_rate(scheduler: Scheduler) -> None:
    assert factors(scheduler, Plan(epochs=1, steps_per_epoch=4)) == [1.0] * 4


@pytest.mark.parametrize("scheduler", [Step(0.4, 0.1), Exponential(0.01), Cosine()])
def test_a_schedule_means_the_same_at_5_epochs_and_at_50(scheduler: Scheduler) -> None:
    short, long = factors(scheduler, Plan(5, 100)), factors(scheduler, Plan(50, 10))
    assert (short[0], short[-1]) == pytest.approx((long[0], long[-1]), rel=1e-9)
