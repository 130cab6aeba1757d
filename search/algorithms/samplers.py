"""Samplers by name, and how they draw a configuration: one sampler a trial, a function of the spec
and its number.
"""

import hashlib
import random
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from optuna import Study, create_study
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.algorithms.usual import adherence, usual_value
from search.space.configuration import Configuration
from search.space.domains import Choice, Range, Value
from search.space.flat import flat_domains
from search.space.parameters import switched
from search.space.search_space import SearchSpace
from search.spec.methods import CMAES, GP, QMC, TPE, Counted, Learning, Random
from search.spec.study_spec import StudySpec
from storage.direction import Direction

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
# From this version of the definition on, what is usually off begins off also without a switch;
# older ones draw on.
OFF_WITHOUT_SWITCH = 4


@dataclass(frozen=True)
class Slot:
    """Which trial of which study a sampler is made for."""

    spec: StudySpec
    number: int

    @property
    def seed(self) -> int:
        """The sampler's. The same one in every worker would give all of them the same first
        suggestions.
        """
        return derived_seed(self.spec.seed, self.number, "sampler")


def _tpe(options: TPE, slot: Slot) -> BaseSampler:
    with warnings.catch_warnings():
        # Without groups a third of the conditional parameters would be drawn one by one; see
        # docs/decisions.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(
            n_startup_trials=options.startup_trials, multivariate=True, group=True, seed=slot.seed
        )


def _random(options: Random, slot: Slot) -> BaseSampler:
    return RandomSampler(seed=slot.seed)


def _usual(options: Learning, slot: Slot) -> BaseSampler:
    flat, generator = flat_domains(slot.spec.space), random.Random(slot.seed)
    # the spec's own first ones were not drawn
    drawn_before = max(0, slot.number - len(slot.spec.first_trials))
    keeping = adherence(drawn_before, options.startup_trials)
    by_switch = slot.spec.version < OFF_WITHOUT_SWITCH
    return PlannedSampler(
        lambda name: usual_value(name, flat[name], keeping, generator, by_switch=by_switch)
    )


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


def _qmc(options: QMC, slot: Slot) -> BaseSampler:
    from scipy.stats.qmc import Sobol  # takes half a second to import

    flat = flat_domains(slot.spec.space)
    # one seed for all trials: each takes another point of it
    sequence = Sobol(max(1, len(flat)), rng=slot.spec.seed)
    if slot.number:
        sequence.fast_forward(slot.number)
    point = dict(zip(flat, map(float, sequence.random()[0]), strict=False))
    return PlannedSampler(lambda name: flat[name].at(point[name]))


def _grid(options: Counted, slot: Slot) -> BaseSampler:
    return PlannedSampler(slot.spec.schedule(options.points).configuration(slot.number).__getitem__)


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

    def __init__(self, options: GP, slot: Slot) -> None:
        super().__init__(slot.spec.space)
        self._options = options
        self._seed = slot.seed
        self._direction = slot.spec.direction

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Value]:
        """What the Gaussian process finds most promising; of the first trials, at random."""
        sampler = GPSampler(seed=self._seed, n_startup_trials=self._options.startup_trials)
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
        if trial.state not in FINISHED:  # a running one is taken into account, a failed one is not
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

    def __init__(self, slot: Slot) -> None:
        super().__init__(slot.spec.space)
        self._ranges = {
            name: domain for name, domain in self.flat.items() if isinstance(domain, Range)
        }
        self._seed = slot.seed
        self._direction = slot.spec.direction

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


def _gp(options: GP, slot: Slot) -> BaseSampler:
    return FlatGPSampler(options, slot)


def _cmaes(options: CMAES, slot: Slot) -> BaseSampler:
    return CmaEsSampler(slot)


SAMPLERS: dict[str, Callable[..., BaseSampler]] = {
    "tpe": _tpe,
    "random": _random,
    "gp": _gp,
    "qmc": _qmc,
    "cmaes": _cmaes,
    "grid": _grid,
    "brute_force": _grid,
}


def derived_seed(study_seed: int, number: int, purpose: str) -> int:
    """32 bits that differ by study seed, trial number and purpose: the trial's own seed, or its
    sampler's.
    """
    digest = hashlib.sha256(f"{study_seed}:{number}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def build_sampler(spec: StudySpec, number: int) -> BaseSampler:
    """The sampler of one trial."""
    options = spec.sampler
    if (
        isinstance(options, Learning)
        and options.startup == "usual"
        and number < options.startup_trials
    ):
        return _usual(options, Slot(spec, number))
    return SAMPLERS[spec.sampler.name](spec.sampler, Slot(spec, number))


def distribution(domain: Choice | Range) -> BaseDistribution:
    """What Optuna holds of a domain."""
    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.options)
    if domain.whole:
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=domain.log)


@dataclass(frozen=True)
class Drawn(Configuration):
    """A configuration with Optuna's distributions of its values."""

    distributions: dict[str, BaseDistribution]

    def internal(self) -> dict[str, float]:
        """The values in Optuna's internal representation."""
        return {
            name: self.distributions[name].to_internal_repr(value)
            for name, value in self.values.items()
        }


def draw(space: SearchSpace, study: Study, trial: FrozenTrial, fixed: Mapping[str, Value]) -> Drawn:
    """One configuration by `study.sampler`: together where the sampler can, one by one where it
    cannot; `fixed` wins.

    In `fixed`, False stands for off.
    """
    study.sampler.before_trial(study, trial)
    together = study.sampler.infer_relative_search_space(study, trial)
    drawn = study.sampler.sample_relative(study, trial, together)
    distributions: dict[str, BaseDistribution] = {}

    def suggest(name: str, domain: Choice | Range) -> Value:
        found = distributions[name] = distribution(domain)
        strength = switched(name)
        if strength is not None and strength.name in fixed:
            return fixed[strength.name] is not False
        if name in fixed:
            return fixed[name]
        if found.single():
            only: Value = (
                domain.options[0]
                if isinstance(domain, Choice)
                else found.to_external_repr(domain.low)
            )
            return only
        value: Value = (
            drawn[name]
            if name in drawn
            else study.sampler.sample_independent(study, trial, name, found)
        )
        return value

    return Drawn(space.suggest(suggest), distributions)
