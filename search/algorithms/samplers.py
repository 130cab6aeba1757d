"""Samplers by name, and how they draw a configuration: one sampler a trial, a function of the spec
and its number.

One more is its dataclass in `search.spec.methods`, and its function here.
"""

import hashlib
import random
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from search.algorithms.distributions import distribution
from search.algorithms.flat import CmaEsSampler, FlatGPSampler
from search.algorithms.usual import adherence, held_together, usual_value
from search.space.configuration import Configuration
from search.space.domains import Choice, Range, Value
from search.space.flat import flat_domains
from search.space.parameters import switched
from search.space.search_space import SearchSpace
from search.spec.methods import CMAES, GP, QMC, TPE, Counted, Learning, Random
from search.spec.study_spec import StudySpec

# From this version of the definition on, what is usually off begins off also without a switch;
# older ones draw on.
OFF_WITHOUT_SWITCH = 4
# From this one on, what diverges beside other values of a first trial is drawn anew.
HOLDS_TOGETHER = 5


@dataclass(frozen=True)
class TrialOfStudy:
    """Which trial of which study a sampler is made for."""

    spec: StudySpec
    number: int

    @property
    def sampler_seed(self) -> int:
        """The sampler's. The same one in every worker would give all of them the same first
        suggestions.
        """
        return trial_seed(self.spec.seed, self.number, "sampler")

    @property
    def given(self) -> Mapping[str, Value]:
        """What the spec says of the trial; False is off."""
        return dict(next(iter(self.spec.first_trials[self.number : self.number + 1]), ()))


def _tpe(options: TPE, trial: TrialOfStudy) -> BaseSampler:
    with warnings.catch_warnings():
        # Without groups a third of the conditional parameters would be drawn one by one; see
        # docs/decisions.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(
            n_startup_trials=options.startup_trials,
            multivariate=True,
            group=True,
            seed=trial.sampler_seed,
        )


def _random(options: Random, trial: TrialOfStudy) -> BaseSampler:
    return RandomSampler(seed=trial.sampler_seed)


def _usual(options: Learning, trial: TrialOfStudy) -> BaseSampler:
    flat, generator = flat_domains(trial.spec.space), random.Random(trial.sampler_seed)
    # The spec's own first trials were not drawn.
    drawn_before = max(0, trial.number - len(trial.spec.first_trials))
    keeping = adherence(drawn_before, options.startup_trials)
    by_switch = trial.spec.version < OFF_WITHOUT_SWITCH

    def one_by_one(name: str) -> Value:
        return usual_value(name, flat[name], keeping, generator, by_switch=by_switch)

    if trial.spec.version < HOLDS_TOGETHER:
        return PlannedSampler(one_by_one)
    values = trial.spec.space.suggest(
        lambda name, domain: _value(name, domain, trial.given, one_by_one)
    )
    free = {name: domain for name, domain in flat.items() if name not in trial.given}
    together = held_together(values, free, random.Random(f"{trial.sampler_seed}:together"))
    return PlannedSampler(lambda name: together[name] if name in together else one_by_one(name))


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


def _qmc(options: QMC, trial: TrialOfStudy) -> BaseSampler:
    # This takes half a second to import.
    from scipy.stats.qmc import Sobol

    flat = flat_domains(trial.spec.space)
    # All trials have one seed, and each takes another point of its sequence.
    sequence = Sobol(max(1, len(flat)), rng=trial.spec.seed)
    if trial.number:
        sequence.fast_forward(trial.number)
    point = dict(zip(flat, map(float, sequence.random()[0]), strict=False))
    return PlannedSampler(lambda name: flat[name].at(point[name]))


def _grid(options: Counted, trial: TrialOfStudy) -> BaseSampler:
    return PlannedSampler(
        trial.spec.schedule(options.points).configuration(trial.number).__getitem__
    )


def _gp(options: GP, trial: TrialOfStudy) -> BaseSampler:
    return FlatGPSampler(
        trial.spec.space, trial.spec.direction, trial.sampler_seed, options.startup_trials
    )


def _cmaes(options: CMAES, trial: TrialOfStudy) -> BaseSampler:
    return CmaEsSampler(trial.spec.space, trial.spec.direction, trial.sampler_seed)


SAMPLERS: dict[str, Callable[..., BaseSampler]] = {
    "tpe": _tpe,
    "random": _random,
    "gp": _gp,
    "qmc": _qmc,
    "cmaes": _cmaes,
    "grid": _grid,
    "brute_force": _grid,
}


def trial_seed(study_seed: int, number: int, purpose: str) -> int:
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
        return _usual(options, TrialOfStudy(spec, number))
    return SAMPLERS[spec.sampler.name](spec.sampler, TrialOfStudy(spec, number))


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

        def sampled(name: str) -> Value:
            value: Value = (
                drawn[name]
                if name in drawn
                else study.sampler.sample_independent(study, trial, name, found)
            )
            return value

        return _value(name, domain, fixed, sampled)

    return Drawn(space.suggest(suggest), distributions)


def _value(
    name: str,
    domain: Choice | Range,
    fixed: Mapping[str, Value],
    sampled: Callable[[str], Value],
) -> Value:
    # The strength is fixed, the only one, or a sampled one.
    strength = switched(name)
    if strength is not None and strength.name in fixed:
        return fixed[strength.name] is not False
    if name in fixed:
        return fixed[name]
    found = distribution(domain)
    if found.single():
        only: Value = (
            domain.options[0] if isinstance(domain, Choice) else found.to_external_repr(domain.low)
        )
        return only
    return sampled(name)
