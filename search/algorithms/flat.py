"""Samplers that draw all parameters together, of a space laid flat."""

from optuna import Study, create_study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.algorithms.distributions import distribution
from search.space.domains import Range, Value
from search.space.flat import flat_domains
from search.space.search_space import SearchSpace
from storage.direction import Direction

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class FlatSampler(BaseSampler):
    """Draws all parameters together, also those that the configuration turns out not to have."""

    def __init__(self, space: SearchSpace) -> None:
        self.flat = flat_domains(space)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All that there is to search."""
        return {name: distribution(domain) for name, domain in self.flat.items()}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Value:
        """Never asked for: nothing is left to draw one by one."""
        raise KeyError(param_name)


class FlatGPSampler(FlatSampler):
    """Optuna's GPSampler on the recorded trials laid flat: it knows only parameters that every
    trial has.

    A trial without a parameter is taken to hold its stand-in, as SMAC does (Hutter et al. 2011).
    Optuna's sampler also knows complete trials alone, and would go on where others were stopped:
    here these count with their last value, and one that diverged with the worst.
    """

    def __init__(
        self, space: SearchSpace, direction: Direction, seed: int, startup_trials: int
    ) -> None:
        super().__init__(space)
        self._direction = direction
        self._seed = seed
        self._startup_trials = startup_trials

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Value]:
        """What the Gaussian process finds most promising; of the first trials, at random."""
        sampler = GPSampler(seed=self._seed, n_startup_trials=self._startup_trials)
        flat_study = create_study(
            direction=StudyDirection[self._direction.upper()], sampler=sampler
        )
        recorded = [
            each
            for each in study.get_trials(deepcopy=False)
            if each.params and each.number != trial.number
        ]
        values = [value for each in recorded if (value := metric_of(each)) is not None]
        worst = self._direction.worst(values) or 0.0
        flat_study.add_trials([self._laid_flat(each, search_space, worst) for each in recorded])
        return dict(flat_study.ask(search_space).params)

    def _laid_flat(
        self, trial: FrozenTrial, flat: dict[str, BaseDistribution], worst: float
    ) -> FrozenTrial:
        params = {
            name: trial.params.get(name, domain.stand_in) for name, domain in self.flat.items()
        }
        # A running trial is taken into account, a failed one is not.
        if trial.state not in FINISHED:
            return create_trial(state=trial.state, params=params, distributions=flat)
        value = metric_of(trial)
        value = worst if value is None else value
        return create_trial(
            state=TrialState.COMPLETE, params=params, distributions=flat, value=value
        )


class CmaEsSampler(FlatSampler):
    """CMA-ES told the recorded trials again for each draw: a function of the record, and nothing of
    it is unpickled.

    The finished trials, in the order of their numbers, are the generations. Only the rank within
    one counts for CMA-ES (Hansen 2016, "The CMA Evolution Strategy: A Tutorial"), so stopped trials
    take part, behind complete ones.
    """

    def __init__(self, space: SearchSpace, direction: Direction, seed: int) -> None:
        super().__init__(space)
        self._ranges = {
            name: domain for name, domain in self.flat.items() if isinstance(domain, Range)
        }
        self._direction = direction
        self._seed = seed

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Value]:
        """A point of the generation that follows those in the record."""
        import numpy as np
        from cmaes import CMA

        count = len(self._ranges)
        # The search begins in the middle of the unit cube: Hansen's advice for the first step is
        # 0.3 of the range.
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
            name: domain.at(share)
            for (name, domain), share in zip(self._ranges.items(), shares, strict=True)
        }

    def _point(self, trial: FrozenTrial) -> list[float]:
        return [domain.share_of(trial.params[name]) for name, domain in self._ranges.items()]


def standing(trial: FrozenTrial, direction: Direction) -> tuple[float, ...]:
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
        *direction.order(value, None, trial.number),
    )


def metric_of(trial: FrozenTrial) -> float | None:
    """The study's metric at the end of a trial, the first of its objectives; `None` where it
    diverged or has no end.
    """
    return trial.values[0] if trial.state in FINISHED and trial.values else None
