"""ASHA stops what is not among the best 1 / reduction_factor at its rungs."""

import optuna
import pytest
from optuna.trial import TrialState

from search.pruners import AshaPruner


def pruned(own: list[float], others: list[list[float]], direction: str = "maximize", failed: int = 0) -> bool:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=direction)
    states = [TrialState.FAIL] * failed + [TrialState.COMPLETE] * (len(others) - failed)
    for values, state in zip(others, states, strict=True):
        steps = dict(enumerate(values, start=1))
        value = None if state == TrialState.FAIL else values[-1]
        study.add_trial(optuna.trial.create_trial(state=state, value=value, intermediate_values=steps))
    study.ask()
    trial = study.trials[-1]
    trial.intermediate_values = dict(enumerate(own, start=1))
    return AshaPruner(min_epochs=1, reduction_factor=3).prune(study, trial)


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        ([0.5], [], False),  # the first one goes on
        ([0.5], [[0.6]], True),
        ([0.6], [[0.5]], False),
        ([0.5], [[0.6], [0.1], [0.1], [0.1], [0.1]], False),  # second of six: the best two go on
        ([0.5], [[0.6], [0.7], [0.1], [0.1], [0.1]], True),
        ([0.9, 0.1], [[0.9, 0.9]], False),  # epoch 2 is no rung
        ([0.9, 0.9, 0.1], [[0.9, 0.9, 0.9]], True),  # epoch 3 is one
    ],
)
def test_asha_goes_on_with_the_best_third_at_each_rung(
    own: list[float], others: list[list[float]], expected: bool
) -> None:
    assert pruned(own, others) is expected


def test_asha_minimizes_a_loss() -> None:
    assert pruned([0.5], [[0.4]], direction="minimize")
    assert not pruned([0.4], [[0.5]], direction="minimize")


def test_asha_does_not_count_failed_trials() -> None:
    assert not pruned([0.5], [[0.6]], failed=1)
