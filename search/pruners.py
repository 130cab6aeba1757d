"""Pruners by name."""

import math
from collections.abc import Callable

from optuna import Study
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.methods import ASHA, Median, NoPruner, Pruner


class AshaPruner(BasePruner):
    """Asynchronous successive halving, its stopping variant (Li et al. 2020, "A System for Massively Parallel ...").

    At the epochs min_epochs * reduction_factor ** k a trial goes on if its value is among the best
    1 / reduction_factor (at least one) of all trials seen at that epoch. A pure function of the recorded values:
    Optuna's SuccessiveHalvingPruner writes its rungs to the trial and counts failed trials too.
    """

    def __init__(self, min_epochs: int, reduction_factor: int) -> None:
        self._min_epochs = min_epochs
        self._reduction_factor = reduction_factor

    def _is_rung(self, epoch: int) -> bool:
        rung = self._min_epochs
        while rung < epoch:
            rung *= self._reduction_factor
        return rung == epoch

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial should stop at the last epoch that it reported."""
        epoch = trial.last_step
        if epoch is None or not self._is_rung(epoch):
            return False
        sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
        own = sign * trial.intermediate_values[epoch]
        others = [
            sign * other.intermediate_values[epoch]
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number and other.state != TrialState.FAIL and epoch in other.intermediate_values
        ]
        better = sum(value > own for value in others)
        return better >= max(1, math.floor((len(others) + 1) / self._reduction_factor))


def _none(options: NoPruner) -> BasePruner:
    return NopPruner()


def _median(options: Median) -> BasePruner:
    return MedianPruner(n_startup_trials=options.startup_trials, n_warmup_steps=options.min_epochs)


def _asha(options: ASHA) -> BasePruner:
    return AshaPruner(options.min_epochs, options.reduction_factor)


PRUNERS: dict[str, Callable[..., BasePruner]] = {"none": _none, "median": _median, "asha": _asha}


def build_pruner(options: Pruner) -> BasePruner:
    """The pruner of a study."""
    return PRUNERS[options.name](options)
