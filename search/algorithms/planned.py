"""A sampler of values that are known before anything is drawn."""

from collections.abc import Callable

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from search.space.domains import Value


class PlannedSampler(BaseSampler):
    """Draws values that the trial's number alone says."""

    def __init__(self, value_of: Callable[[str], Value]) -> None:
        self._value_of = value_of

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """None: there is nothing to learn."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Value]:
        """Nothing."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Value:
        """The planned value."""
        return self._value_of(param_name)
