"""What samplers share that draw all parameters together from the record, laid flat."""

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from search.algorithms.distributions import distribution
from search.space.domains import Value
from search.space.flat import flat_domains
from search.space.search_space import SearchSpace

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class FlatSampler(BaseSampler):
    """Draws all parameters together, also those that the configuration turns out not to have."""

    def __init__(self, space: SearchSpace) -> None:
        self.flat = flat_domains(space)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All that there is to search."""
        return {name: distribution(name, domain) for name, domain in self.flat.items()}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Value:
        """Never asked for: nothing is left to draw one by one."""
        raise KeyError(param_name)


def metric_of(trial: FrozenTrial) -> float | None:
    """The study's metric at the end of a trial, the first of its objectives; `None` where it
    diverged or has no end.
    """
    return trial.values[0] if trial.state in FINISHED and trial.values else None
