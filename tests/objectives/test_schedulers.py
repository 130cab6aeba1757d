"""Schedules are pure functions of the step, and over a whole run they are torch's."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from objectives import names
from objectives.hyperparameters import (
    Constant,
    Cosine,
    Exponential,
    MultiStep,
    OneCycle,
    Plateau,
    Scheduler,
    Step,
)
from objectives.schedulers import SCHEDULERS, Plan, learning_rate_factor, warmup_factor

PLAN = Plan(epochs=10, steps_per_epoch=3)


def factors(scheduler: Scheduler, plan: Plan = PLAN) -> list[float]:
    return [
        learning_rate_factor(scheduler, step, plan)
        for step in range(plan.epochs * plan.steps_per_epoch)
    ]


def optimizer_of_rate_one() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def rates(
    optimizer: torch.optim.Optimizer, scheduler: lr_scheduler.LRScheduler, steps: int
) -> list[float]:
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


def test_multistep_is_torch_multisteplr() -> None:
    optimizer = optimizer_of_rate_one()
    expected = rates(
        optimizer, lr_scheduler.MultiStepLR(optimizer, milestones=[3, 8], gamma=0.2), 10
    )
    assert factors(MultiStep(0.3, 0.8, 0.2)) == pytest.approx(repeated(expected), rel=1e-12)


def test_milestones_may_come_in_any_order_and_on_one_epoch() -> None:
    assert factors(MultiStep(0.8, 0.3, 0.2)) == factors(MultiStep(0.3, 0.8, 0.2))
    assert factors(MultiStep(0.5, 0.5, 0.5))[-1] == 0.25
    assert factors(MultiStep(0.01, 0.99, 0.5), Plan(5, 1)) == [1.0, 0.5, 0.5, 0.5, 0.5]


LOSSES = [2.0, 1.0, 1.0, 0.9999999, 1.1, 1.2, 0.5, 0.6, 0.7, 0.8]


@pytest.mark.parametrize("patience", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_plateau_is_torch_reducelronplateau(patience: int, seed: int) -> None:
    losses = (
        LOSSES
        if seed == 0
        else torch.rand(10, generator=torch.Generator().manual_seed(seed)).tolist()
    )
    optimizer = optimizer_of_rate_one()
    theirs = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience)
    expected, found = [], []
    for epoch in range(10):
        expected.append(float(optimizer.param_groups[0]["lr"]))
        step = epoch * PLAN.steps_per_epoch
        found += [
            learning_rate_factor(Plateau(patience / 10, 0.5), step + i, PLAN, losses[:epoch])
            for i in range(3)
        ]
        theirs.step(losses[epoch])
    assert found == pytest.approx(repeated(expected), rel=1e-12)
    assert expected[-1] < 1 or patience == 3


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
        # A period below an epoch takes every epoch.
        (0.01, [1.0, 0.5, 0.25, 0.125, 0.0625]),
        # A period of 1.5 epochs takes 2.
        (0.3, [1.0, 1.0, 0.5, 0.5, 0.25]),
        (0.4, [1.0, 1.0, 0.5, 0.5, 0.25]),
        (1.0, [1.0] * 5),
    ],
)
def test_a_step_period_is_a_share_of_the_epochs_and_at_least_one(
    period: float, expected: list[float]
) -> None:
    assert factors(Step(period, 0.5), Plan(epochs=5, steps_per_epoch=1)) == expected


@pytest.mark.parametrize(
    "scheduler",
    [Constant(), Step(0.3, 0.1), MultiStep(0.3, 0.6, 0.1), Exponential(0.01), Plateau(0.0, 0.1)],
)
def test_a_run_of_one_epoch_keeps_its_learning_rate(scheduler: Scheduler) -> None:
    assert factors(scheduler, Plan(epochs=1, steps_per_epoch=4)) == [1.0] * 4


@pytest.mark.parametrize(
    "scheduler", [Step(0.4, 0.1), MultiStep(0.4, 0.8, 0.1), Exponential(0.01), Cosine(), OneCycle()]
)
def test_a_schedule_means_the_same_at_5_epochs_and_at_50(scheduler: Scheduler) -> None:
    short, long = factors(scheduler, Plan(5, 100)), factors(scheduler, Plan(50, 10))
    assert (short[0], short[-1]) == pytest.approx((long[0], long[-1]), rel=1e-6)


@pytest.mark.parametrize("rise", [0.1, 0.3, 0.45])
@pytest.mark.parametrize("plan", [PLAN, Plan(2, 1), Plan(7, 13)])
def test_onecycle_is_torch_onecyclelr_per_optimizer_step(rise: float, plan: Plan) -> None:
    expected = torch_onecycle(rise, plan.epochs * plan.steps_per_epoch)
    assert factors(OneCycle(rise), plan) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def torch_onecycle(rise: float, steps: int) -> list[float]:
    optimizer = optimizer_of_rate_one()
    theirs = lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=steps, pct_start=rise, cycle_momentum=False
    )
    rates = [float(theirs.get_last_lr()[0])]
    for _ in range(steps - 1):
        optimizer.step()
        theirs.step()
        rates.append(float(theirs.get_last_lr()[0]))
    return rates


ALL = [
    *(
        Constant(),
        Step(0.3, 0.1),
        MultiStep(0.3, 0.6, 0.1),
        Exponential(0.01),
        Plateau(0.0, 0.1),
        Cosine(),
    ),
    *(OneCycle(rise) for rise in (0.01, 0.1, 0.3, 0.5, 0.7, 0.99)),
]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("scheduler", ALL)
def test_the_only_step_of_a_run_has_the_whole_learning_rate(
    scheduler: Scheduler, share: float
) -> None:
    plan = Plan(epochs=1, steps_per_epoch=1)
    assert (factors(scheduler, plan), warmup_factor(share, 0, plan)) == ([1.0], 1.0)


@pytest.mark.parametrize(
    ("scheduler", "two", "three"),
    [
        (Cosine(), [1.0, 0.5], [1.0, 0.75, 0.25]),
        (OneCycle(0.1), [0.58682, 4e-6], [0.84312, 0.30196, 4e-6]),
        (OneCycle(0.3), [0.81174, 4e-6], [0.99442, 0.46264, 4e-6]),
        (OneCycle(0.5), [1.0, 4e-6], [0.04, 0.75, 4e-6]),
        (OneCycle(0.7), [1.0, 4e-6], [0.04, 0.98056, 4e-6]),
    ],
)
def test_a_run_of_two_or_three_steps_has_one_that_learns(
    scheduler: Scheduler, two: list[float], three: list[float]
) -> None:
    assert factors(scheduler, Plan(1, 2)) == pytest.approx(two, abs=1e-5)
    assert factors(scheduler, Plan(1, 3)) == pytest.approx(three, abs=1e-5)


def test_warmup_of_a_short_run_never_leaves_a_step_out() -> None:
    found = [
        [warmup_factor(share, step, Plan(1, 2)) for step in range(2)]
        for share in (0.1, 0.5, 0.8, 0.99)
    ]
    assert found == [[1.0, 1.0], [1.0, 1.0], [0.625, 1.0], [pytest.approx(1 / 1.98), 1.0]]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.integers(1, 4), st.floats(1e-6, 1 - 1e-9))
def test_onecycle_always_comes_at_least_half_way_up(
    steps_per_epoch: int, epochs: int, rise: float
) -> None:
    found = factors(OneCycle(rise), Plan(epochs, steps_per_epoch))
    assert all(0 < factor <= 1 for factor in found)
    assert max(found) >= 0.5


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 40), st.floats(0.01, 0.99))
def test_onecycle_of_more_than_two_steps_is_torchs_to_the_last_digits(
    steps: int, rise: float
) -> None:
    # torch divides by zero there.
    assume(rise * steps != 1)
    assert factors(OneCycle(rise), Plan(1, steps)) == pytest.approx(
        torch_onecycle(rise, steps), rel=1e-6, abs=1e-12
    )


@pytest.mark.parametrize("steps", [3, 4, 10])
def test_onecycle_whose_rise_is_exactly_one_step_is_torchs_just_below_it(steps: int) -> None:
    found = factors(OneCycle(1 / steps), Plan(1, steps))
    assert found[0] == 1.0
    assert found == pytest.approx(torch_onecycle((1 - 1e-9) / steps, steps), abs=1e-6)


def test_onecycle_whose_rise_is_a_single_step_starts_at_the_top() -> None:
    assert factors(OneCycle(0.1), Plan(10, 1))[:2] == pytest.approx([1.0, 0.9698], abs=1e-4)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.99])
def test_warmup_is_torch_linearlr_from_the_first_step(share: float) -> None:
    warm = round(share * 30)
    optimizer = optimizer_of_rate_one()
    theirs = lr_scheduler.LinearLR(
        optimizer, start_factor=1 / warm, end_factor=1.0, total_iters=max(1, warm - 1)
    )
    expected = rates(optimizer, theirs, 30)
    assert [warmup_factor(warm / 30, step, PLAN) for step in range(30)] == pytest.approx(
        expected, rel=1e-9
    )


def test_no_warmup_is_the_schedule_alone() -> None:
    assert {warmup_factor(0.0, step, PLAN) for step in range(30)} == {1.0}
