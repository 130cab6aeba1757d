"""A Gaussian process on the recorded trials laid flat."""

from optuna import Study, create_study
from optuna.distributions import BaseDistribution
from optuna.samplers import GPSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.algorithms.flat import FINISHED, FlatSampler, metric_of
from search.space.domains import Value
from search.space.flat import stand_in
from search.spec.methods import GP
from search.spec.study_spec import StudySpec


class FlatGPSampler(FlatSampler):
    """Optuna's GPSampler on the recorded trials laid flat: it knows only parameters that every
    trial has.

    A trial without a parameter is taken to hold its stand-in, as SMAC does (Hutter et al. 2011).
    Optuna's sampler also knows complete trials alone, and would go on where others were stopped:
    here these count with their last value, and one that diverged with the worst.
    """

    def __init__(self, options: GP, spec: StudySpec, seed: int) -> None:
        super().__init__(spec.space)
        self._options = options
        self._seed = seed
        self._direction = spec.direction

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Value]:
        """What the Gaussian process finds most promising; of the first trials, at random."""
        sampler = GPSampler(seed=self._seed, n_startup_trials=self._options.startup_trials)
        flat_study = create_study(direction=self._direction, sampler=sampler)
        recorded = [
            each
            for each in study.get_trials(deepcopy=False)
            if each.params and each.number != trial.number
        ]
        values = [value for each in recorded if (value := metric_of(each)) is not None]
        worst = (min if self._direction == "maximize" else max)(values, default=0.0)
        flat_study.add_trials([self._laid_flat(each, search_space, worst) for each in recorded])
        return dict(flat_study.ask(search_space).params)

    def _laid_flat(
        self, trial: FrozenTrial, flat: dict[str, BaseDistribution], worst: float
    ) -> FrozenTrial:
        params = {
            name: trial.params.get(name, stand_in(name, domain))
            for name, domain in self.flat.items()
        }
        if trial.state not in FINISHED:  # a running one is taken into account, a failed one is not
            return create_trial(state=trial.state, params=params, distributions=flat)
        value = metric_of(trial)
        value = worst if value is None else value
        return create_trial(
            state=TrialState.COMPLETE, params=params, distributions=flat, value=value
        )
