"""CMA-ES, made anew from the record for each draw."""

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from search.algorithms.flat import FINISHED, FlatSampler, metric_of
from search.space.domains import Range, Value
from search.space.flat import share_of, value_at
from search.spec.study_spec import StudySpec


class CmaEsSampler(FlatSampler):
    """CMA-ES told the recorded trials again for each draw: a function of the record, and nothing of
    it is unpickled.

    The finished trials, in the order of their numbers, are the generations. Only the rank within
    one counts for CMA-ES (Hansen 2016, "The CMA Evolution Strategy: A Tutorial"), so stopped trials
    take part, behind complete ones.
    """

    def __init__(self, spec: StudySpec, seed: int) -> None:
        super().__init__(spec.space)
        self._ranges = {
            name: domain for name, domain in self.flat.items() if isinstance(domain, Range)
        }
        self._seed = seed
        self._direction = spec.direction

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Value]:
        """A point of the generation that follows those in the record."""
        import numpy as np
        from cmaes import CMA

        count = len(self._ranges)
        # In the unit cube, from its middle: Hansen's advice for the first step is 0.3 of the range.
        optimizer = CMA(
            np.full(count, 0.5), 0.3, bounds=np.array([[0.0, 1.0]] * count), seed=self._seed
        )
        finished = [
            each
            for each in study.get_trials(deepcopy=False)
            if each.state in FINISHED and each.params
        ]
        size = optimizer.population_size
        for start in range(0, len(finished) - size + 1, size):
            generation = sorted(
                finished[start : start + size], key=lambda each: standing(each, self._direction)
            )
            optimizer.tell(
                [(np.array(self._point(each)), rank) for rank, each in enumerate(generation)]
            )
        shares = map(float, optimizer.ask())
        return {
            name: value_at(name, domain, share)
            for (name, domain), share in zip(self._ranges.items(), shares, strict=True)
        }

    def _point(self, trial: FrozenTrial) -> list[float]:
        return [share_of(name, domain, trial.params[name]) for name, domain in self._ranges.items()]


def standing(trial: FrozenTrial, direction: str) -> tuple[float, ...]:
    """Sorts finished trials, the best first: complete ones, then stopped ones by how far they came,
    then diverged.
    """
    value = metric_of(trial)
    if value is None:
        return (2.0,)
    came = -len(trial.intermediate_values) if trial.state == TrialState.PRUNED else 0
    return (
        float(trial.state == TrialState.PRUNED),
        came,
        -value if direction == "maximize" else value,
    )
